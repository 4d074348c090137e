// Journeys through the real page, against the real program, in a real browser. They tell one story: a new
// server is set up, somebody signs up, uploads an album over a line that breaks, and listens to it.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { complaints, drop, openBrowser, shoot } from './browser.mjs';
import { cover } from './pictures.mjs';
import { Proxy } from './proxy.mjs';
import { freePort, PASSWORD, Person, Server } from './server.mjs';
import { plucked } from './sounds.mjs';

const READY_MS = 120_000;

let server;
let proxy;
let browser;
let context;
let page;
let wrong;
let parent;
let folder;

before(async () => {
  const port = await freePort();
  proxy = await Proxy.start(port);
  server = await Server.start({ port, url: proxy.url });
  browser = await openBrowser();
  context = await browser.newContext({ viewport: { width: 1280, height: 800 }, colorScheme: 'dark' });
  page = await context.newPage();
  page.setDefaultTimeout(15_000);
  wrong = complaints(page);
  parent = mkdtempSync(join(tmpdir(), 'tutti-album-'));
  folder = join(parent, 'Frida Ek - Slow Weather (2019)');
  mkdirSync(folder);
  writeFileSync(join(folder, '01 - Rain on the Roof.wav'), plucked(110, 44100, 1));
  writeFileSync(join(folder, '02 - Under the Stairs.wav'), plucked(12, 44100, 2));
  writeFileSync(join(folder, '03 - Going Home.wav'), plucked(9, 44100, 3));
  writeFileSync(join(folder, 'cover.png'), cover());
});

after(async () => {
  await browser?.close();
  proxy?.stop();
  await server?.stop();
  if (parent) {
    rmSync(parent, { recursive: true, force: true });
  }
});

const times = () => page.$$eval('audio', (all) => all.map((audio) => audio.currentTime));
const sounding = () => page.$$eval('audio', (all) => all.find((audio) => !audio.paused)?.currentTime ?? -1);
const text = (selector) => page.textContent(selector);

/** Until the element that sounds has passed `seconds`. */
async function heard(seconds, withinMs = 15_000) {
  const until = Date.now() + withinMs;
  while ((await sounding()) < seconds) {
    assert.ok(Date.now() < until, `nothing is heard: ${await times()}`);
    await sleep(50);
  }
}

async function signOut() {
  await page.click('.account > button');
  await page.click('text=Sign out');
  await page.waitForSelector('.door');
}

test('a new server is set up with the code from its data directory', async () => {
  await page.goto(proxy.url);
  await page.fill('input[name=code]', '0000-0000');
  await page.fill('input[name=username]', 'root');
  await page.fill('input[name=password]', PASSWORD);
  await page.click('.door form .primary');
  await page.waitForSelector('.door [role=alert]:not(:empty)');
  await shoot(page, 'set-up');
  await page.fill('input[name=code]', server.setupCode());
  await page.click('.door form .primary');
  await page.waitForSelector('text=No music here yet');
  await signOut();
});

test('a wrong password is refused in words', async () => {
  await page.fill('input[name=username]', 'root');
  await page.fill('input[name=password]', 'not the password');
  await page.click('.door form .primary');
  await page.waitForSelector('.form-error:not(:empty)');
  assert.ok((await text('.form-error')).length > 10);
});

test('somebody signs up, and is still signed in after a reload', async () => {
  await page.click('text=Sign up');
  await page.fill('input[name=username]', 'frida');
  await page.fill('input[name=email]', 'frida@example.org');
  await page.fill('input[name=password]', 'short');
  await page.$eval('input[name=password]', (input) => input.removeAttribute('minlength'));
  await page.click('.door form .primary');
  await page.waitForSelector('.field.wrong');
  await page.fill('input[name=password]', PASSWORD);
  await page.click('.door form .primary');
  await page.waitForSelector('text=No music here yet');
  await page.reload();
  await page.waitForSelector('text=No music here yet');
  await shoot(page, 'empty');
});

test('a server that can’t be reached at a reload is waited for, and signs nobody out', async () => {
  await page.route('**/auth/refresh', (route) => route.abort());
  await page.reload();
  await page.waitForSelector('text=The server can’t be reached');
  await shoot(page, 'unreachable');
  await page.unroute('**/auth/refresh');
  await page.waitForSelector('text=No music here yet');
});

test('a folder is dropped, sent over a line that is cut, and becomes ready', async () => {
  await page.click('nav >> text=Upload');
  await page.waitForSelector('.drop');
  await drop(page, [folder]);
  await page.waitForSelector('.edit-row');
  assert.deepEqual(await page.$$eval('.edit-title', (all) => all.map((input) => input.value)), [
    'Rain on the Roof',
    'Under the Stairs',
    'Going Home',
  ]);
  assert.equal(await page.inputValue('input[name=album]'), 'Slow Weather');
  assert.equal(await page.inputValue('input[name=artist]'), 'Frida Ek');
  assert.equal(await page.inputValue('input[name=date]'), '2019-01-01');
  await page.waitForSelector('.cover-field img');
  await shoot(page, 'upload-form');

  proxy.upRate = 12_000_000;
  await page.click('.upload-form .primary');
  await page.waitForFunction(() => document.querySelector('.send-row .send-state')?.textContent.includes('%'));
  await sleep(600);
  const before = proxy.received;
  assert.ok(before > 1_000_000, 'the upload is under way');
  proxy.cut();
  await page.waitForSelector('text=Connection lost');
  await shoot(page, 'upload-cut');
  await sleep(500);
  proxy.mend();
  await page.waitForSelector('.send-row.processing, .send-row.ready', { timeout: 30_000 });
  await shoot(page, 'upload-processing');
  proxy.upRate = 0;
  await page.waitForFunction(() => document.querySelectorAll('.send-row.ready').length === 3, null, {
    timeout: READY_MS,
  });
  await shoot(page, 'upload-ready');
  const sizes = 4 * 44100 * (110 + 12 + 9);
  assert.ok(proxy.received < sizes + 3 * 8.5e6, `parts that had arrived are not sent again: ${proxy.received} of ${sizes}`);
});

test('the album shows its tracks, in order and with their lengths', async () => {
  await page.click('text=Open the album');
  await page.waitForSelector('.row');
  assert.equal(await text('.hero h1'), 'Slow Weather');
  assert.deepEqual(await page.$$eval('.row-title', (all) => all.map((title) => title.textContent)), [
    'Rain on the Roof',
    'Under the Stairs',
    'Going Home',
  ]);
  assert.deepEqual(await page.$$eval('.row-time', (all) => all.map((time) => time.textContent)), ['1:50', '0:12', '0:09']);
  await page.waitForFunction(() => document.querySelector('.hero .cover img')?.naturalWidth > 0);
});

test('it plays: sound, waveform, quality, seeking, keys and volume', async () => {
  await page.click('.button.play');
  await heard(0.8);
  await page.waitForSelector('.wave.heard path');
  await page.waitForFunction(() => /^AAC (96|160|320)$/.test(document.querySelector('.quality button').textContent));
  await shoot(page, 'album-playing');
  const slider = await page.locator('.seek-slider').boundingBox();
  await page.mouse.click(slider.x + slider.width / 2, slider.y + slider.height / 2);
  await heard(54);
  assert.ok((await sounding()) < 60, 'it plays from where it was sought');
  await page.keyboard.press('ArrowLeft');
  await page.keyboard.press('Escape');
  await page.click('.hero h1');
  await page.keyboard.press('Space');
  await sleep(200);
  assert.equal(await sounding(), -1, 'space pauses');
  await page.keyboard.press('Space');
  await heard(45);
  const loud = await page.$eval('audio', (audio) => audio.volume);
  await page.keyboard.press('ArrowDown');
  assert.ok((await page.$eval('audio', (audio) => audio.volume)) < loud, 'the arrow turns it down');
  const metadata = await page.evaluate(() => navigator.mediaSession.metadata?.title);
  assert.equal(metadata, 'Rain on the Roof');
});

test('the quality can be chosen, also when the ladder was not whole at the start', async () => {
  const frida = await Person.signIn(server, 'frida');
  const { items } = await frida.call('GET', '/api/v1/tracks');
  await Promise.all(items.map(({ id }) => frida.whole(id)));
  for (const rung of ['96', '320']) {
    await page.click('.quality button');
    await page.click(`.quality [role=menuitemradio]:has-text("${rung} kbit/s")`);
    await page.waitForFunction((wanted) => document.querySelector('.quality button').textContent === `AAC ${wanted}`, rung, { timeout: 15_000 });
  }
});

test('when its addresses have run out it asks for new ones and goes on at the same place', async () => {
  await page.reload();
  await page.waitForSelector('.row');
  await page.click('.button.play');
  await heard(0.3); // what is buffered by now reaches half a minute
  let expired = true;
  let asked = 0;
  await page.route('**/m/**', (route) => (expired ? route.fulfill({ status: 403, body: '' }) : route.fallback()));
  await page.route('**/stream?*', (route) => {
    expired = false;
    asked += 1;
    return route.fallback();
  });
  const slider = await page.locator('.seek-slider').boundingBox();
  await page.mouse.click(slider.x + slider.width * 0.9, slider.y + slider.height / 2);
  await heard(99.5, 20_000);
  assert.ok(asked >= 1);
  await page.unroute('**/m/**');
  await page.unroute('**/stream?*');
});

test('next goes on at once, and the end of a track leads to the one after it', async () => {
  await page.keyboard.press('n');
  await page.waitForFunction(() => document.querySelector('.now-title').textContent === 'Under the Stairs');
  await heard(0.5);
  await page.evaluate(() => {
    const audio = [...document.querySelectorAll('audio')].find((a) => !a.paused);
    audio.currentTime = audio.duration - 1.5;
  });
  await page.waitForFunction(() => document.querySelector('.now-title').textContent === 'Going Home', null, { timeout: 8000 });
  await heard(0.5);
});

test('an upload goes on after the page was reloaded', async () => {
  await page.goto(`${proxy.url}/upload`);
  writeFileSync(join(folder, '01 - Long.wav'), plucked(110, 44100, 7));
  await page.setInputFiles('.drop input >> nth=0', [join(folder, '01 - Long.wav')]);
  await page.fill('input[name=album]', 'Interrupted');
  proxy.upRate = 8_000_000;
  const numbers = [];
  page.on('request', (request) => {
    const number = new URL(request.url()).searchParams.get('partNumber');
    if (request.method() === 'PUT' && number) {
      numbers.push(number);
    }
  });
  await page.click('.upload-form .primary');
  const until = Date.now() + 20_000;
  while (!numbers.includes('2')) {
    assert.ok(Date.now() < until, 'the second part is on its way');
    await sleep(30);
  }
  page.once('dialog', (dialog) => dialog.accept());
  await page.reload();
  await page.waitForSelector('.unfinished');
  await shoot(page, 'upload-unfinished');
  numbers.length = 0;
  proxy.upRate = 0;
  await page.setInputFiles('.drop input >> nth=0', [join(folder, '01 - Long.wav')]);
  await page.waitForSelector('.notice');
  await page.click('.upload-form .primary');
  await page.waitForSelector('.send-row.ready', { timeout: READY_MS });
  assert.ok(!numbers.includes('1'), 'the first part was there already');
  await page.goto(proxy.url);
  await page.waitForSelector('.card-title');
  assert.equal(await page.locator('.card-title').count(), 2, 'the album was not made twice');
});

test('an upload that is stopped goes on with the album it has begun', async () => {
  await page.goto(`${proxy.url}/upload`);
  writeFileSync(join(folder, '01 - Stopped.wav'), plucked(60, 44100, 8));
  await page.setInputFiles('.drop input >> nth=0', [join(folder, '01 - Stopped.wav')]);
  await page.fill('input[name=album]', 'Stopped');
  proxy.upRate = 4_000_000;
  await page.click('.upload-form .primary');
  await page.waitForFunction(() => /^[1-9]\d* %/.test(document.querySelector('.send-row .send-state')?.textContent ?? ''));
  await page.click('.form-foot >> text="Stop"');
  await page.waitForSelector('.notice');
  proxy.upRate = 0;
  await page.click('.upload-form .primary >> text=Go on');
  await page.waitForSelector('.send-row.ready', { timeout: READY_MS });
  await page.goto(proxy.url);
  await page.waitForSelector('.card-title');
  assert.equal(await page.locator('.card-title').count(), 3, 'the album was not made twice');
});

test('two tabs whose token ran out ask for one new token between them, though the message comes late', async () => {
  const tabs = [await context.newPage(), await context.newPage()];
  let asked = 0;
  const old = new Set();
  const note = (request) => {
    const { authorization } = request.headers();
    asked += request.url().endsWith('/auth/refresh') ? 1 : 0;
    if (authorization) {
      old.add(authorization);
    }
  };
  context.on('request', note);
  const refused = new Set();
  let go;
  const bothRefused = new Promise((resolve) => {
    go = resolve;
  });
  for (const tab of tabs) {
    await tab.addInitScript(() => {
      const { addEventListener } = BroadcastChannel.prototype;
      BroadcastChannel.prototype.addEventListener = function (type, listen) {
        addEventListener.call(this, type, (event) => setTimeout(listen, 700, event));
      };
    });
    await tab.goto(`${proxy.url}/upload`);
    await tab.waitForSelector('.drop');
    await tab.route('**/api/v1/albums?*', async (route) => {
      if (!old.has(route.request().headers().authorization)) {
        return route.fallback();
      }
      if (refused.add(tab).size === tabs.length) {
        go();
      }
      await bothRefused; // so that neither has its new token before the other wants one
      return route.fulfill({ status: 401, contentType: 'application/problem+json', body: '{}' });
    });
  }
  assert.ok(old.size >= 1);
  context.off('request', note);
  context.on('request', (request) => {
    asked += request.url().endsWith('/auth/refresh') ? 1 : 0;
  });
  await sleep(1100); // two tokens of the same second are the same
  asked = 0;
  await Promise.all(tabs.map((tab) => tab.click('nav >> text=Albums')));
  await Promise.all(tabs.map((tab) => tab.waitForSelector('.card-title')));
  assert.equal(asked, 1);

  await tabs[1].click('.account > button');
  await tabs[1].click('text=Sign out');
  await page.waitForSelector('.door');
  await Promise.all(tabs.map((tab) => tab.close()));
  await page.fill('input[name=username]', 'frida');
  await page.fill('input[name=password]', PASSWORD);
  await page.click('.door form .primary');
  await page.waitForSelector('.card-title');
});

test('pages at a desk and on a phone, light and dark', async () => {
  for (const [device, width, height] of [['desk', 1280, 800], ['phone', 360, 740]]) {
    for (const colorScheme of ['light', 'dark']) {
      await page.setViewportSize({ width, height });
      await page.emulateMedia({ colorScheme });
      await page.goto(proxy.url);
      await page.waitForSelector('.card-title');
      await shoot(page, `albums-${device}-${colorScheme}`);
      await page.click('.card-title >> text=Slow Weather');
      await page.waitForSelector('.row');
      await page.click('.row-play >> nth=1');
      await heard(0.3);
      await shoot(page, `album-${device}-${colorScheme}`);
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      assert.ok(wide <= 0, `nothing sticks out at ${width} px`);
      await page.click('.now-artist');
      await page.waitForSelector('.hero .round');
      await shoot(page, `artist-${device}-${colorScheme}`);
    }
  }
});

test('an address that does not exist is answered in words', async () => {
  await page.goto(`${proxy.url}/album/17`);
  await page.waitForSelector('text=It isn’t here');
  await page.goto(`${proxy.url}/nowhere`);
  await page.waitForSelector('text=There is nothing at this address');
});

test('the page made no complaint on the way', () => {
  assert.deepEqual(wrong, []);
});
