// Searching, as somebody does it: typing, misspelling, choosing by keyboard, on a slow line and a small screen.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { complaints, openBrowser, shoot } from './browser.mjs';
import { PASSWORD, Person, Server } from './server.mjs';
import { plucked } from './sounds.mjs';

let server;
let browser;
let page;
let wrong;
let album;

before(async () => {
  server = await Server.start();
  server.addUser('boss', 'admin');
  server.addUser('anna', 'listener');
  const boss = await Person.signIn(server, 'boss');
  const artist = await boss.becomeArtist('Björk Motörhead');
  album = (await boss.uploadAlbum(artist.id, 'Кино', [{ title: 'Bohemian Polka', data: plucked(4, 44100, 1) }])).album;
  for (const title of ['Nights', 'Nightfall', 'Nightingale']) {
    await boss.call('POST', '/api/v1/albums', { artistId: artist.id, title });
  }
  browser = await openBrowser();
  page = await browser.newPage({ viewport: { width: 1280, height: 800 }, colorScheme: 'dark' });
  page.setDefaultTimeout(15_000);
  wrong = complaints(page);
  await page.goto(server.url);
  await page.fill('input[name=username]', 'anna');
  await page.fill('input[name=password]', PASSWORD);
  await page.click('button:has-text("Sign in"):not(.link)');
  await page.waitForSelector('.search input');
});

after(async () => {
  await browser?.close();
  await server?.stop();
});

const rows = () => page.$$eval('.found-title', (all) => all.map((one) => one.textContent));

/** Types it letter by letter, and waits until the list says what was found for it. */
async function type(text, expected) {
  await page.fill('.search input', '');
  await page.waitForFunction(() => !document.querySelector('.found'));
  await page.type('.search input', text, { delay: 15 });
  await page.waitForFunction((one) => [...document.querySelectorAll('.found-title')].some((row) => row.textContent === one), expected);
}

test('what is typed is found, misspelt and in another script, too', async () => {
  await page.keyboard.press('/');
  assert.equal(await page.evaluate(() => document.activeElement?.getAttribute('role')), 'combobox');
  await type('boh', 'Bohemian Polka');
  await shoot(page, 'search');
  await type('bohemain polca', 'Bohemian Polka');
  await type('kino', 'Кино');
  await type('bjoerk motor', 'Björk Motörhead');
});

test('the keyboard chooses, and a song that is chosen is heard', async () => {
  await type('night', 'Nights');
  const active = () => page.getAttribute('.search input', 'aria-activedescendant');
  assert.equal(await active(), 'found-0');
  await page.keyboard.press('ArrowDown');
  assert.equal(await active(), 'found-1');
  await page.keyboard.press('ArrowUp');
  await page.keyboard.press('ArrowUp');
  assert.equal(await active(), `found-${(await rows()).length - 1}`);
  await page.keyboard.press('Escape');
  assert.equal(await page.$('.found'), null);
  await type('bohemian', 'Bohemian Polka');
  await page.keyboard.press('Enter');
  await page.waitForURL(`**/album/${album.id}`);
  await page.waitForFunction(() => [...document.querySelectorAll('audio')].some((audio) => !audio.paused && audio.currentTime > 0.2));
  assert.equal(await page.$('.found'), null);
});

test('an answer that was overtaken is not shown', async () => {
  let held;
  await page.route('**/api/v1/search?q=kino*', async (route) => {
    held = route;
  });
  await page.fill('.search input', 'kino');
  await page.waitForFunction(() => true);
  for (const until = Date.now() + 10_000; !held && Date.now() < until; ) {
    await page.waitForTimeout(20);
  }
  assert.ok(held);
  await page.fill('.search input', 'nightf');
  await page.waitForFunction(() => document.querySelector('.found-title')?.textContent === 'Nightfall');
  await held.continue().catch(() => {}); // the page has taken it back
  await page.waitForTimeout(300);
  assert.ok((await rows()).includes('Nightfall') && !(await rows()).includes('Кино'));
  await page.unroute('**/api/v1/search?q=kino*');
});

test('Enter chooses of what is found for the text that stands there, when that is found', async () => {
  let release;
  const released = new Promise((resolve) => {
    release = resolve;
  });
  const asked = page.waitForRequest('**/api/v1/search?q=kino*');
  await page.route('**/api/v1/search?q=kino*', async (route) => {
    await released;
    await route.continue();
  });
  await page.goto(`${server.url}/artists`);
  await type('night', 'Nights');
  await page.fill('.search input', 'kino');
  await page.keyboard.press('Enter');
  await asked;
  assert.equal(new URL(page.url()).pathname, '/artists', 'not one of the nights');
  release();
  await page.waitForURL(`**/album/${album.id}`);
  await page.waitForSelector('h1 >> text=Кино');
  await page.unroute('**/api/v1/search?q=kino*');
});

test('nothing found is said, and markup stays text', async () => {
  await page.fill('.search input', '<img src=x onerror=alert(1)>zzzz');
  await page.waitForSelector('.found-none');
  assert.match(await page.textContent('.found-none'), /<img src=x/);
  assert.equal(await page.$('.found-none img'), null);
});

test('it fits a small screen', async () => {
  await page.setViewportSize({ width: 390, height: 780 });
  await type('night', 'Nights');
  const box = await (await page.$('.found')).boundingBox();
  assert.ok(box.x >= 0 && box.x + box.width <= 390, JSON.stringify(box));
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
  await shoot(page, 'search-small');
  await page.click('.found-row >> nth=0');
  await page.waitForFunction(() => !document.querySelector('.found'));
});

test('the page complained about nothing', () => {
  assert.deepEqual(wrong, []);
});
