// In the page: plays a plan through Media Source Extensions and records what sounds.
//
// plan: {rate, mime, tracks: [{samples, appends: [[url, begin, end], …], mime?}]}, played end to end in one
// SourceBuffer. Each track gets its window as a player of ours sets it: from sample c to c + N. What happens is told
// by alive(text), a function of the driver's.

const microseconds = (samples, rate) => Math.ceil((samples * 1e6) / rate - 1e-6) / 1e6;

const worklet = `registerProcessor("tape", class extends AudioWorkletProcessor {
    process([input]) {
        if (input.length > 0) this.port.postMessage(input.map((plane) => plane.slice()));
        return true;
    }
})`;

function event(target, name) {
    return new Promise((resolve, reject) => {
        target.addEventListener(name, resolve, { once: true });
        target.addEventListener("error", () => reject(new Error(`${name}: ${target.error?.message ?? "error"}`)), { once: true });
    });
}

async function append(buffer, [url, begin, end]) {
    const answer = await fetch(url, { headers: { Range: `bytes=${begin}-${end - 1}` } });
    const done = event(buffer, "updateend");
    buffer.appendBuffer(await answer.arrayBuffer());
    await done;
    alive(`appended ${url} from ${begin} to ${end}`);
}

async function fill(source, plan) {
    const buffer = source.addSourceBuffer(plan.tracks[0].mime ?? plan.mime);
    let start = 0;
    for (const track of plan.tracks) {
        if (track.mime) buffer.changeType(track.mime);
        buffer.appendWindowStart = 0;
        buffer.appendWindowEnd = microseconds(start + track.samples, plan.rate);
        buffer.appendWindowStart = microseconds(start, plan.rate);
        buffer.timestampOffset = microseconds(start, plan.rate);
        for (const part of track.appends) await append(buffer, part);
        start += track.samples;
    }
    source.endOfStream();
    return buffer.buffered.length;
}

// Tapes what an audio element plays at a rate, and tells how far it is; the function it returns ends that and gives
// interleaved stereo float, in base64.
async function tape(audio, rate) {
    const context = new AudioContext({ sampleRate: rate }), blocks = [];
    await context.audioWorklet.addModule(URL.createObjectURL(new Blob([worklet], { type: "text/javascript" })));
    const node = new AudioWorkletNode(context, "tape", { channelCount: 2, channelCountMode: "explicit" });
    node.port.onmessage = ({ data }) => blocks.push(data);
    audio.addEventListener("timeupdate", () => {
        const end = audio.buffered.length > 0 ? audio.buffered.end(audio.buffered.length - 1) : 0;
        alive(`at ${audio.currentTime} s of ${audio.duration}, buffered to ${end} s, ready state ${audio.readyState}`);
    });
    context.createMediaElementSource(audio).connect(node).connect(context.destination);
    return async () => {
        await new Promise((resolve) => setTimeout(resolve, 200));
        const samples = new Float32Array(blocks.length * 256);
        blocks.forEach((planes, block) => planes.forEach((plane, channel) => plane.forEach((value, i) => {
            samples[block * 256 + 2 * i + channel] = value;
        })));
        const bytes = new Uint8Array(samples.buffer);
        let text = "";
        for (let at = 0; at < bytes.length; at += 32768) text += String.fromCharCode(...bytes.subarray(at, at + 32768));
        return btoa(text);
    };
}

async function record(plan) {
    const audio = new Audio(), source = new MediaSource();
    audio.src = URL.createObjectURL(source);
    await event(source, "sourceopen");
    const ranges = await fill(source, plan);
    const stop = await tape(audio, plan.rate), ended = event(audio, "ended");
    await audio.play();
    await ended;
    return { ranges, duration: audio.duration, recording: await stop() };
}

// The players, each with a rung chosen by hand: start it, and a function that changes to rung i (0 is the lowest) at the
// next fragment. Small buffers, so that there is a next one to load.
const players = {
    hls(audio, url, error) {
        const hls = new Hls({ startLevel: 0, maxBufferLength: 4, maxMaxBufferLength: 4, enableWorker: false });
        // A stall that hls.js gets over by itself is a starved machine's, not the file's.
        hls.on("hlsError", (_, { type, details, fatal }) => {
            if (fatal || details !== "bufferStalledError") error(`${type} ${details}`);
        });
        hls.on("hlsManifestParsed", () => { hls.nextLoadLevel = 0; });
        hls.loadSource(url);
        hls.attachMedia(audio);
        return (rung) => { hls.nextLoadLevel = rung; };
    },
    async shaka(audio, url, error) {
        const player = new shaka.Player();
        await player.attach(audio);
        player.configure({ streaming: { bufferingGoal: 4, rebufferingGoal: 1 }, abr: { enabled: false, defaultBandwidthEstimate: 100e3 } });
        player.addEventListener("error", ({ detail }) => error(`shaka ${detail.code}`));
        await player.load(url);
        const rungs = player.getVariantTracks().sort((a, b) => a.bandwidth - b.bandwidth);
        return (rung) => player.selectVariantTrack(rungs[rung], false);
    },
    dash(audio, url, error) {
        const player = dashjs.MediaPlayer().create(), size = 4;
        player.updateSettings({ streaming: {
            buffer: { bufferTimeDefault: size, bufferTimeAtTopQuality: size, bufferTimeAtTopQualityLongForm: size, fastSwitchEnabled: false },
            abr: { autoSwitchBitrate: { audio: false }, initialBitrate: { audio: 100 } },
        } });
        player.on("error", (event) => error(`dash ${event.error?.code} ${event.error?.message}`));
        player.initialize(audio, url, false);
        return (rung) => player.setRepresentationForTypeByIndex("audio", rung, false);
    },
};

// plan: {rate, player, url, switches: [[second, rung], …]}
async function recordPlayer(plan) {
    const audio = document.body.appendChild(new Audio()), errors = [], switches = [...plan.switches];
    const stop = await tape(audio, plan.rate), ended = event(audio, "ended");
    const change = await players[plan.player](audio, plan.url, (text) => errors.push(text));
    audio.addEventListener("timeupdate", () => {
        if (switches.length > 0 && audio.currentTime > switches[0][0]) change(switches.shift()[1]);
    });
    await audio.play();
    await ended;
    return { ranges: audio.buffered.length, duration: audio.duration, errors, recording: await stop() };
}
