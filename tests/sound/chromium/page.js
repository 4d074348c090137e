// In the page: plays a plan through Media Source Extensions and records what sounds.
//
// plan: {rate, mime, tracks: [{samples, appends: [[url, begin, end], …], mime?}]}, played end to end in one
// SourceBuffer. Each track gets its window as a player of ours sets it: from sample c to c + N.

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

// What was heard: interleaved stereo float, in base64, and how many ranges were buffered.
async function record(plan) {
    const context = new AudioContext({ sampleRate: plan.rate });
    await context.audioWorklet.addModule(URL.createObjectURL(new Blob([worklet], { type: "text/javascript" })));
    const audio = new Audio(), tape = new AudioWorkletNode(context, "tape", { channelCount: 2, channelCountMode: "explicit" });
    const source = new MediaSource(), blocks = [];
    tape.port.onmessage = ({ data }) => blocks.push(data);
    audio.src = URL.createObjectURL(source);
    await event(source, "sourceopen");
    const ranges = await fill(source, plan);
    context.createMediaElementSource(audio).connect(tape).connect(context.destination);
    const ended = event(audio, "ended");
    await audio.play();
    await ended;
    await new Promise((resolve) => setTimeout(resolve, 200));
    const samples = new Float32Array(blocks.length * 256);
    blocks.forEach((planes, block) => planes.forEach((plane, channel) => plane.forEach((value, i) => {
        samples[block * 256 + 2 * i + channel] = value;
    })));
    const bytes = new Uint8Array(samples.buffer);
    let text = "";
    for (let at = 0; at < bytes.length; at += 32768) text += String.fromCharCode(...bytes.subarray(at, at + 32768));
    return { ranges, recording: btoa(text) };
}
