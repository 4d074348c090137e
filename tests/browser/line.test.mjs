// The player on a line that fails, with real sound: what is lost is fetched again, and the music goes on where it was.
import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { device, openBrowser, shoot } from './browser.mjs';
import { Proxy } from './proxy.mjs';
import { freePort, Person, Server } from './server.mjs';
import { plucked } from './sounds.mjs';

let line;
let server;
let browser;
let album;
let page;
let listeners = 0;

before(async () => {
  const port = await freePort();
  line = await Proxy.start(port);
  server = await Server.start({ port, url: line.url });
  server.addUser('root', 'admin'); // or the page asks for one
  server.addUser('artist', 'artist');
  const artist = await Person.signIn(server, 'artist');
  const { id } = await artist.becomeArtist('The Lines');
  const sounds = [150, 20].map((seconds, i) => ({ title: ['Long', 'Short'][i], data: plucked(seconds, 44100, i + 1) }));
  ({ album } = await artist.uploadAlbum(id, 'Broken', sounds));
  browser = await openBrowser();
});

after(async () => {
  await browser?.close();
  await server?.stop();
  line?.stop();
});

beforeEach(async () => {
  line.mend();
  await page?.context().close();
  listeners += 1; // another each time: a queue goes on where it was left
  server.addUser(`listener${listeners}`, 'listener');
  page = await device(browser, server, `listener${listeners}`);
});

/** Plays the long track, in a quality. */
async function play(quality = 'auto') {
  await page.evaluate((choice) => localStorage.setItem('tutti.quality', choice), quality);
  await page.goto(`${server.url}/album/${album.id}`);
  await page.click('[aria-label="Play Long"]');
  await sounds(0.5);
}

/** Waits until an element, and no other, has sounded on to there. */
const sounds = (from, to = Infinity) =>
  page.waitForFunction(
    ([least, most]) => {
      const playing = [...document.querySelectorAll('audio')].filter((audio) => !audio.paused && audio.readyState > 2);
      return playing.length === 1 && playing[0].currentTime > least && playing[0].currentTime < most;
    },
    [from, to],
  );

/** Clicks into the seek bar, at a part of the whole. */
async function seek(part) {
  const { width, height } = await page.locator('.seek-slider').boundingBox();
  await page.locator('.seek-slider').click({ position: { x: width * part, y: height / 2 } });
}

/** The requests for sound that `isMeant` get that answer, until the function it gives is called. */
async function fail(isMeant, status) {
  const state = { failed: 0, isOver: false };
  await page.route(/\.mp4$/, (route) => {
    if (state.isOver || !isMeant(route.request(), state)) {
      return route.continue();
    }
    state.failed += 1;
    return status === 0 ? route.abort('connectionrefused') : route.fulfill({ status, body: '' });
  });
  return state;
}

test('one request that fails leaves the chosen quality as it is', async () => {
  const rungs = [];
  page.on('request', (request) => rungs.push(...(/aac-\d+(?=\.mp4)/.exec(request.url()) ?? [])));
  await play(320);
  const state = await fail((_, { failed }) => failed === 0, 0);
  rungs.length = 0;
  await seek(0.62);
  await sounds(94);
  assert.equal(state.failed, 1);
  assert.ok(rungs.length > 2 && rungs.every((rung) => rung === 'aac-320'), rungs.join());
  assert.equal(await page.textContent('.quality'), 'AAC 320');
});

test('a rung that is broken does not end the sound, nor the choice', async () => {
  const rungs = [];
  page.on('request', (request) => rungs.push(...(/aac-\d+(?=\.mp4)/.exec(request.url()) ?? [])));
  await play(320);
  const state = await fail((request) => request.url().includes('aac-320'), 404);
  await seek(0.62);
  await sounds(94);
  state.isOver = true;
  rungs.length = 0;
  await seek(0.3);
  await sounds(47, 80);
  assert.ok(state.failed > 0);
  assert.equal(rungs.at(-1), 'aac-320', rungs.join());
});

test('the server is away for a while: the place stays, and the sound goes on by itself', async () => {
  await play(160);
  line.cut();
  await seek(0.62); // where nothing is buffered
  await page.waitForSelector('.toast >> text=The server doesn’t answer');
  await shoot(page, 'server-away');
  assert.match(await page.textContent('.seek time'), /^1:3[23]$/);
  assert.equal(await page.getAttribute('.play-button', 'aria-label'), 'Pause');
  line.mend();
  await sounds(93, 110);
  assert.deepEqual(page.wrong, []);
});

test('addresses that ran out are asked for anew, and the sound goes on there', async () => {
  const shown = [];
  await page.exposeFunction('show', (time) => shown.push(time));
  await play(160);
  let asked = 0;
  page.on('request', (request) => (asked += Number(/\/stream\b/.test(request.url()))));
  const state = await fail(() => asked === 0, 403);
  await seek(0.62);
  await page.evaluate(() => {
    const time = document.querySelector('.seek time');
    new MutationObserver(() => window.show(time.textContent)).observe(time, { subtree: true, characterData: true, childList: true });
  });
  await sounds(94, 110);
  assert.ok(state.failed > 0 && asked === 1);
  assert.ok(shown.length > 0 && shown.every((time) => /^1:3\d$/.test(time)), shown.join());
});

/** As of imported music before its renditions are made: the page gets nothing but one file. */
async function originalsOnly() {
  await page.route(/\/stream\b/, async (route) => {
    const response = await route.fetch();
    const stream = await response.json();
    const { url } = stream.files.find(({ format, bitrate }) => format === 'aac' && bitrate === 160);
    const files = [{ format: 'original', mime: 'audio/mp4', bitrate: 0, bytes: 0, url }];
    await route.fulfill({ response, json: { ...stream, hls: null, dash: null, trackUrl: url, files } });
  });
}

test('originals: after Next it plays and the page knows it, and a failure is mended', async () => {
  await originalsOnly();
  const state = await fail((_, { failed }) => failed === 0, 403);
  await play();
  assert.equal(state.failed, 1);

  await page.click('.player [aria-label="Next"]');
  await page.waitForSelector('.player >> text=Short');
  await sounds(0.5, 20);
  assert.equal(await page.getAttribute('.play-button', 'aria-label'), 'Pause');
  assert.equal(await page.locator('.play-button.waiting').count(), 0);
  await page.click('.player [aria-label="Pause"]');
  await page.waitForFunction(() => [...document.querySelectorAll('audio')].every((audio) => audio.paused));
  assert.deepEqual(page.wrong, []);
});
