// What the page plays, recorded sample by sample: an album of two tracks, started by a click and left alone, sounds from
// each track's first sample to its last and not one sample longer. (Joins and switches by appending are in ../sound.)
//
// The recording is made at the tracks' rate behind the page's own audio elements. A starved machine inserts silence
// in blocks of 128 samples, and so does the pause between tracks: such blocks are cut out, the rest is compared
// with what decodeAudioData makes of the same files.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { openBrowser } from './browser.mjs';
import { PASSWORD, Person, Server } from './server.mjs';
import { sine } from './sounds.mjs';

const RATE = 44100;
const BLOCK = 128;
/** Of more than one fragment: decodeAudioData keeps the padding of files that have one. */
const LENGTHS = [5 * RATE + 331, 6 * RATE + 1025];
/** Of full scale: the two paths differ by rounding alone. */
const ERROR_MAX = 1e-6;

let server;
let browser;
let person;
let album;
let tracks;

before(async () => {
  server = await Server.start();
  server.addUser('artist', 'artist');
  person = await Person.signIn(server, 'artist');
  const artist = await person.becomeArtist('The Sines');
  const sounds = LENGTHS.map((samples, i) => ({ title: `Sine ${i}`, data: sine(997, RATE, i * LENGTHS[0], samples) }));
  ({ album, tracks } = await person.uploadAlbum(artist.id, 'Halves', sounds));
  browser = await openBrowser();
});

after(async () => {
  await browser?.close();
  await server?.stop();
});

const WORKLET = `registerProcessor('tape', class extends AudioWorkletProcessor {
  process([input]) {
    if (input.length > 0) {
      this.port.postMessage(input[0].slice());
    }
    return true;
  }
})`;

/** In the page: puts a tape behind both audio elements. */
async function record([rate, worklet]) {
  const context = new AudioContext({ sampleRate: rate });
  await context.audioWorklet.addModule(URL.createObjectURL(new Blob([worklet], { type: 'text/javascript' })));
  const tape = new AudioWorkletNode(context, 'tape');
  window.blocks = [];
  tape.port.onmessage = ({ data }) => data.some((sample) => sample !== 0) && window.blocks.push(data);
  tape.connect(context.destination);
  for (const audio of document.querySelectorAll('audio')) {
    context.createMediaElementSource(audio).connect(tape);
  }
  await context.resume();
}

/** In the page: the first channel of a file as the browser decodes it whole. */
async function decoded([url, rate]) {
  const bytes = await (await fetch(url)).arrayBuffer();
  const buffer = await new OfflineAudioContext(2, 1, rate).decodeAudioData(bytes);
  return Array.from(buffer.getChannelData(0));
}

async function openAlbum() {
  const context = await browser.newContext({ bypassCSP: true }); // for the worklet
  const page = await context.newPage();
  await page.addInitScript(() => {
    localStorage.setItem('tutti.volume', '1');
    localStorage.setItem('tutti.quality', '160');
  });
  await page.goto(`${server.url}/album/${album.id}`);
  await page.click('.door-foot .link');
  await page.fill('input[name=username]', 'artist');
  await page.fill('input[name=password]', PASSWORD);
  await page.click('.door form .primary');
  await page.waitForFunction(() => document.querySelectorAll('audio').length === 2);
  await page.waitForSelector('.button.play');
  return page;
}

/** Where `wanted` begins on the tape, at or after `from`, with the largest difference over its whole length. */
function find(tape, wanted, from) {
  const difference = (at, count) => {
    let most = 0;
    for (let n = 0; n < count && most < 1; n += 1) {
      most = Math.max(most, Math.abs((tape[at + n] ?? 9) - wanted[n]));
    }
    return most;
  };
  let best = { at: -1, error: Infinity };
  for (let at = from; at < from + 3 * BLOCK; at += 1) {
    const error = difference(at, 2048);
    best = error < best.error ? { at, error } : best;
  }
  return { at: best.at, error: difference(best.at, wanted.length) };
}

test('an album sounds from the first sample of each track to the last', async () => {
  const page = await openAlbum();
  await page.evaluate(record, [RATE, WORKLET]);
  await page.click('.button.play');
  await page.waitForFunction(() => document.querySelector('.now-title')?.textContent === 'Sine 1', null, { timeout: 20_000 });
  await page.waitForSelector('.play-button[aria-label=Play]', { timeout: 20_000 });
  const tape = (await page.evaluate(() => window.blocks.map((block) => Array.from(block)))).flat();

  let from = 0;
  for (const [i, track] of tracks.entries()) {
    const { files } = await person.call('GET', `/api/v1/tracks/${track.id}/stream`);
    const file = files.find(({ format, bitrate }) => format === 'aac' && bitrate === 160);
    const wanted = await page.evaluate(decoded, [file.url, RATE]);
    assert.equal(wanted.length, LENGTHS[i], 'the file knows its length');
    const { at, error } = find(tape, wanted, from);
    assert.ok(error <= ERROR_MAX, `track ${i}: differs by ${error}, from sample ${at} of ${tape.length}`);
    const before = tape.slice(from, at);
    assert.ok(before.length < 2 * BLOCK && before.every((sample) => sample === 0), `track ${i}: ${before.length} samples before it`);
    from = at + LENGTHS[i];
  }
  const rest = tape.slice(from);
  assert.ok(rest.length < BLOCK && rest.every((sample) => sample === 0), `${rest.length} samples after the end`);
});
