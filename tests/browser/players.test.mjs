// Three players that the world uses play what we serve: each for 8 s, over a line that becomes slow and fast again,
// so that the rung changes, without an error.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { blankPage, openBrowser, slowLine } from './browser.mjs';
import { Person, Server } from './server.mjs';
import { plucked } from './sounds.mjs';

const HEARD_S = 7.5;
const WALL_MS = 8_000;
/** A careful player takes some fragments more before it trusts the line. */
const SWITCH_MS = 15_000;

let server;
let browser;
let artist;
let stream;

before(async () => {
  server = await Server.start();
  server.addUser('artist', 'artist');
  artist = await Person.signIn(server, 'artist');
  const page = await artist.becomeArtist('The Players');
  const { tracks } = await artist.uploadAlbum(page.id, 'Eight Seconds', [{ title: 'One', data: plucked(36) }]);
  stream = await artist.call('GET', `/api/v1/tracks/${tracks[0].id}/stream?maxBitrate=320`);
  browser = await openBrowser();
});

after(async () => {
  await browser?.close();
  await server?.stop();
});

const source = (path) => readFileSync(new URL(`node_modules/${path}`, import.meta.url), 'utf8');

/** What the page does with each player: reports rungs (bit/s) and errors, and says when it plays. */
const players = {
  'hls.js': {
    script: 'hls.js/dist/hls.min.js',
    url: () => stream.hls,
    start(url, audio, rung, error) {
      const hls = new window.Hls({ startLevel: 0, maxBufferLength: 6, maxMaxBufferLength: 6 });
      hls.on('hlsError', (_, data) => error(`${data.type} ${data.details}`));
      hls.on('hlsFragLoaded', (_, { frag }) => rung(hls.levels[frag.level].bitrate));
      hls.loadSource(url);
      hls.attachMedia(audio);
    },
  },
  'shaka-player': {
    script: 'shaka-player/dist/shaka-player.compiled.js',
    url: () => stream.dash,
    async start(url, audio, rung, error) {
      const player = new window.shaka.Player();
      await player.attach(audio);
      player.configure({ streaming: { bufferingGoal: 6 }, abr: { switchInterval: 1, defaultBandwidthEstimate: 110e3 } });
      player.addEventListener('error', (event) => error(`shaka ${event.detail.code}`));
      const note = () => player.getVariantTracks().forEach((track) => track.active && rung(track.bandwidth));
      player.addEventListener('adaptation', note);
      await player.load(url);
      note();
    },
  },
  'shaka-player on HLS': {
    script: 'shaka-player/dist/shaka-player.compiled.js',
    url: () => stream.hls,
    async start(url, audio, rung, error) {
      const player = new window.shaka.Player();
      await player.attach(audio);
      player.configure({ streaming: { bufferingGoal: 6 }, abr: { switchInterval: 1, defaultBandwidthEstimate: 110e3 } });
      player.addEventListener('error', (event) => error(`shaka ${event.detail.code}`));
      const note = () => player.getVariantTracks().forEach((track) => track.active && rung(track.bandwidth));
      player.addEventListener('adaptation', note);
      await player.load(url);
      note();
    },
  },
  'dash.js': {
    script: 'dashjs/dist/modern/umd/dash.all.min.js',
    url: () => stream.dash,
    start(url, audio, rung, error) {
      const player = window.dashjs.MediaPlayer().create();
      player.updateSettings({
        streaming: {
          buffer: { bufferTimeDefault: 6, bufferTimeAtTopQuality: 6, bufferTimeAtTopQualityLongForm: 6 },
          // Resource timings go by URL, and all ranges share one: dash.js would judge the line by the first of them.
          abr: { initialBitrate: { audio: 100 }, throughput: { useResourceTimingApi: false } },
        },
      });
      player.on('error', (event) => error(`dash ${event.error?.code} ${event.error?.message}`));
      player.on('fragmentLoadingCompleted', ({ request }) => request.representation && rung(request.representation.bandwidth));
      player.initialize(audio, url, false);
    },
  },
};

for (const [name, { script, url, start }] of Object.entries(players)) {
  test(`${name} plays 8 s and changes its rung, without an error`, async () => {
    const page = await browser.newPage();
    try {
      await blankPage(page, server.url, '<audio></audio>');
      await page.evaluate(source(script));
      const line = await slowLine(page);
      await line(25_000);
      await page.evaluate(
        async ([begin, address]) => {
          const audio = document.querySelector('audio');
          window.seen = { rungs: [], errors: [] };
          const rung = (bandwidth) => window.seen.rungs.at(-1) !== bandwidth && window.seen.rungs.push(bandwidth);
          const error = (text) => window.seen.errors.push(text);
          audio.addEventListener('error', () => error(`media ${audio.error.code} ${audio.error.message}`));
          window.begin = new Function('args', `return ({ ${begin} }).start(...args)`);
          await window.begin([address, audio, rung, error]);
          await audio.play();
        },
        [start.toString(), url()],
      );
      await page.waitForFunction(() => document.querySelector('audio').currentTime > 0, null, { timeout: 20_000 });
      await page.waitForTimeout(1500);
      await line(2_000_000);
      await page.waitForTimeout(WALL_MS - 1500);
      await page.waitForFunction(() => new Set(window.seen.rungs).size >= 2, null, { timeout: SWITCH_MS }).catch(() => {});
      const { rungs, errors, heard } = await page.evaluate(() => ({
        ...window.seen,
        heard: document.querySelector('audio').currentTime,
      }));
      assert.deepEqual(errors, []);
      assert.ok(heard >= HEARD_S, `${heard} s were heard`);
      assert.ok(new Set(rungs).size >= 2, `rungs: ${rungs}`);
    } finally {
      await page.close();
    }
  });
}
