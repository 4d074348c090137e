// Browsing in the real page: albums by their orders, artists by letters, a playlist that two edit, the queue, which goes on
// on another device.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { device, openBrowser, shoot, texts } from './browser.mjs';
import { Person, Server, until } from './server.mjs';
import { plucked } from './sounds.mjs';

const ARTISTS = ['The Beatles', 'Björk', 'Zappa', 'Кино', 'うただ', '周杰倫', '1999'];
let server;
let browser;
let artist;
let album;
let first;

before(async () => {
  server = await Server.start();
  server.addUser('root', 'admin'); // or the page asks for one
  for (const name of ['artist', 'one', 'two']) {
    server.addUser(name, name === 'artist' ? 'artist' : 'listener');
  }
  artist = await Person.signIn(server, 'artist');
  const page = await artist.becomeArtist('Abba');
  for (const name of ARTISTS) {
    await artist.call('POST', '/api/v1/artists', { name });
  }
  for (const [title, releaseDate] of [['Old', '1971-01-01'], ['Older', '1969-05-01'], ['Undated', null]]) {
    await artist.call('POST', '/api/v1/albums', { artistId: page.id, title, releaseDate, genres: ['Folk'] });
  }
  const sounds = ['Alpha', 'Beta', 'Gamma'].map((title, i) => ({ title, data: plucked(i === 0 ? 40 : 4, 44100, i + 1) }));
  ({ album } = await artist.uploadAlbum(page.id, 'Letters', sounds, { whole: false }));
  first = await Person.signIn(server, 'one');
  browser = await openBrowser();
});

after(async () => {
  await browser?.close();
  await server?.stop();
});

const shows = (page, selector, expected) =>
  until(() => texts(page, selector), (found) => JSON.stringify(found) === JSON.stringify(expected));

test('albums are browsed by the orders', async () => {
  await first.call('PUT', `/api/v1/me/ratings/album/${album.id}`, { rating: 5 });
  const page = await device(browser, server, 'one');
  const orders = 'nav[aria-label="Orders of albums"] >> text=';
  await page.click(`${orders}By year`);
  await shows(page, '.card-title', ['Old', 'Older']);
  await shoot(page, 'albums-by-year');
  await page.click(`${orders}By title`);
  await shows(page, '.card-title', ['Letters', 'Old', 'Older', 'Undated']);
  await page.click(`${orders}Highest rated`);
  await shows(page, '.card-title', ['Letters']);
  await page.click(`${orders}Random`);
  await until(() => texts(page, '.card-title'), (found) => [...found].sort().join() === 'Letters,Old,Older,Undated');
  await page.click(`${orders}Last played`);
  await page.waitForSelector('text=a little after you have heard');
  await page.click(`${orders}Genres`);
  await page.click('[aria-label="Genres"] a');
  await shows(page, '.card-title', ['Old', 'Older', 'Undated']);
  assert.equal(await page.getAttribute(`${orders}Genres`, 'aria-current'), 'page');
  assert.deepEqual(page.wrong, []);
});

test('artists stand under their letters', async () => {
  const page = await device(browser, server, 'one');
  await page.click('nav[aria-label="Main"] >> text=Artists');
  await shows(page, '[aria-label="Letters"] button', ['#', 'A', 'B', 'Z', 'К', 'あ', '漢']);
  await shows(page, '.people a > span:last-child', ['1999', 'Abba', 'The Beatles', 'Björk', 'Zappa', 'Кино', 'うただ', '周杰倫']);
  await shoot(page, 'artists');
  await page.click('[aria-label="B, 2 artists"]');
  await shows(page, 'h2.letter', ['B', 'Z', 'К', 'あ', '漢']);
  await page.setViewportSize({ width: 390, height: 800 });
  await shoot(page, 'artists-on-a-phone');
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth), 'nothing is cut off at the side');
  await page.click('text=Björk');
  await page.waitForSelector('h1 >> text=Björk');
  assert.deepEqual(page.wrong, []);
});

test('a playlist is ordered, and edited by whom one invites', async () => {
  const { items: tracks } = await first.call('GET', `/api/v1/albums/${album.id}/tracks`);
  const list = await first.call('POST', '/api/v1/playlists', { title: 'Together' });
  await first.call('POST', `/api/v1/playlists/${list.id}/items`, { trackIds: tracks.map(({ id }) => id) });
  const order = async () => (await first.call('GET', `/api/v1/playlists/${list.id}/items`)).items.map(({ track }) => track.title).join(' ');
  const page = await device(browser, server, 'one');
  await page.goto(`${server.url}/playlist/${list.id}`);
  await page.click('[aria-label="Move Gamma up"]');
  await shows(page, '.row-title', ['Alpha', 'Gamma', 'Beta']);
  await page.click('[aria-label="Move Gamma up"]');
  await page.click('[aria-label="Move Alpha down"]');
  await shows(page, '.row-title', ['Gamma', 'Beta', 'Alpha']);
  await until(order, (titles) => titles === 'Gamma Beta Alpha');
  assert.ok(await page.isDisabled('[aria-label="Move Gamma up"]') && await page.isDisabled('[aria-label="Move Alpha down"]'));
  const focused = () => page.evaluate(() => document.activeElement?.getAttribute('aria-label'));
  await page.focus('[aria-label="Move Alpha up"]');
  for (const titles of [['Gamma', 'Alpha', 'Beta'], ['Alpha', 'Gamma', 'Beta']]) {
    await page.keyboard.press('Enter');
    await shows(page, '.row-title', titles);
    assert.equal(await focused(), titles[0] === 'Alpha' ? 'Move Alpha down' : 'Move Alpha up', 'the keyboard stays with what moves');
  }
  for (const titles of [['Gamma', 'Alpha', 'Beta'], ['Gamma', 'Beta', 'Alpha']]) {
    await page.keyboard.press('Enter');
    await shows(page, '.row-title', titles);
    assert.equal(await focused(), titles[2] === 'Alpha' ? 'Move Alpha up' : 'Move Alpha down');
  }
  await until(order, (titles) => titles === 'Gamma Beta Alpha');
  await shoot(page, 'playlist-in-order');
  await page.click('text=Invite to edit');
  const link = await page.inputValue('.given-link input');
  const friend = await device(browser, server, 'two');
  await friend.goto(link);
  await friend.waitForSelector('h1 >> text=Together');
  await friend.click('[aria-label="Take Beta out of the playlist"]');
  await shows(friend, '.row-title', ['Gamma', 'Alpha']);
  await until(order, (titles) => titles === 'Gamma Alpha');
  assert.deepEqual([...page.wrong, ...friend.wrong], []);
});

test('the queue is seen and changed while it plays', async () => {
  const page = await device(browser, server, 'one');
  await page.goto(`${server.url}/album/${album.id}`);
  await page.click('[aria-label="Play Alpha"]');
  await page.click('.player [aria-label="Queue"]');
  await shows(page, '.row-title', ['Alpha', 'Beta', 'Gamma']);
  await page.click('[aria-label="Move Gamma up"]');
  await shows(page, '.row-title', ['Alpha', 'Gamma', 'Beta']);
  await shoot(page, 'queue');
  assert.ok(await page.isDisabled('[aria-label="Take Alpha out of the queue"]'), 'what plays stays');
  await page.click('[aria-label="Take Gamma out of the queue"]');
  await shows(page, '.row-title', ['Alpha', 'Beta']);
  await page.click('.player [aria-label="Next"]');
  await page.waitForSelector('.row.current >> text=Beta');
  assert.deepEqual(page.wrong, []);
});

test('who orders the queue by keys keeps the place at each step', async () => {
  const page = await device(browser, server, 'one');
  await page.goto(`${server.url}/album/${album.id}`);
  await page.click('[aria-label="Play Alpha"]');
  await page.click('.player [aria-label="Queue"]');
  const focused = () => page.evaluate(() => document.activeElement.ariaLabel);
  await page.focus('[aria-label="Move Gamma up"]');
  await page.keyboard.press('Enter');
  await shows(page, '.row-title', ['Alpha', 'Gamma', 'Beta']);
  assert.equal(await focused(), 'Move Gamma up');
  await page.keyboard.press('Enter');
  await shows(page, '.row-title', ['Gamma', 'Alpha', 'Beta']);
  assert.equal(await focused(), 'Move Gamma down', 'it is the first: only down is left');
  await page.keyboard.press('Enter');
  await page.keyboard.press('Enter');
  await shows(page, '.row-title', ['Alpha', 'Beta', 'Gamma']);
  assert.equal(await focused(), 'Move Gamma up');
  assert.deepEqual(page.wrong, []);
});

test('another device goes on where the first was left', async () => {
  const laptop = await device(browser, server, 'two');
  const held = () => two.call('GET', '/api/v1/me/queue');
  const two = await Person.signIn(server, 'two');
  await laptop.goto(`${server.url}/album/${album.id}`);
  await laptop.click('[aria-label="Play Alpha"]');
  await laptop.waitForFunction(() => [...document.querySelectorAll('audio')].some((audio) => audio.currentTime > 2));
  await laptop.click('.player [aria-label="Pause"]');
  await laptop.waitForSelector('main [aria-label="Play Alpha"]');
  await laptop.waitForSelector('.hero .play >> text=Play');
  const left = await until(held, ({ positionMs }) => positionMs > 1900);
  assert.deepEqual([left.index, left.tracks.map(({ title }) => title)], [0, ['Alpha', 'Beta', 'Gamma']]);

  const phone = await device(browser, server, 'two', { width: 360, height: 720 }, { isMobile: true, hasTouch: true });
  await phone.waitForSelector('.player >> text=Alpha');
  assert.equal(await phone.textContent('.seek time'), `0:${String(Math.floor(left.positionMs / 1000)).padStart(2, '0')}`);
  await shoot(phone, 'queue-of-another-device');
  await phone.click('.player [aria-label="Play"]');
  await phone.waitForFunction(() => [...document.querySelectorAll('audio')].some((audio) => !audio.paused && audio.readyState > 2));
  const times = await phone.$$eval('audio', (all) => all.map((audio) => audio.currentTime));
  assert.ok(Math.max(...times) >= left.positionMs / 1000 - 0.1, `${times}`);
  await phone.click('.player [aria-label="Next"]');
  await phone.waitForSelector('.player >> text=Beta');
  await phone.click('.player [aria-label="Pause"]');
  await until(held, ({ index }) => index === 1);
  await laptop.evaluate(() => dispatchEvent(new Event('focus')));
  await laptop.waitForSelector('.player >> text=Beta');

  // The later of two changes holds, though the earlier one is told later.
  for (const page of [laptop, phone]) {
    await page.click('.player [aria-label="Queue"]');
    await shows(page, '.row-title', ['Alpha', 'Beta', 'Gamma']);
  }
  await laptop.context().setOffline(true);
  await laptop.click('[aria-label="Move Alpha down"]');
  await shows(laptop, '.row-title', ['Beta', 'Alpha', 'Gamma']);
  await phone.click('[aria-label="Take Gamma out of the queue"]');
  await until(held, ({ trackIds }) => trackIds.length === 2);
  await laptop.context().setOffline(false);
  await shows(laptop, '.row-title', ['Alpha', 'Beta']);

  await phone.click('[aria-label="Move Alpha down"]');
  await until(held, ({ tracks }) => tracks[0].title === 'Beta');
  await laptop.context().setOffline(true);
  await laptop.click('[aria-label="Take Alpha out of the queue"]');
  await laptop.context().setOffline(false);
  await until(held, ({ trackIds }) => trackIds.length === 1);
  await phone.evaluate(() => dispatchEvent(new Event('focus')));
  await shows(phone, '.row-title', ['Beta']);
  assert.deepEqual([...laptop.wrong, ...phone.wrong], []);
});

test('no page is wider than a phone', async () => {
  const { items: lists } = await first.call('GET', '/api/v1/playlists');
  const { path: shared } = await first.call('POST', `/api/v1/playlists/${lists[0].id}/share`);
  const { token } = await first.call('POST', `/api/v1/playlists/${lists[0].id}/invite`, { access: 'edit' });
  const paths = ['/', '/albums/year', '/albums/genres', '/genre/Folk', '/artists', `/artist/${album.artistId}`, `/album/${album.id}`, '/queue',
    `/join/${token}`, `/playlist/${lists[0].id}`, '/library', '/upload', '/data', '/folders', shared, '/nowhere'];
  const page = await device(browser, server, 'root', { width: 360, height: 720 }, { isMobile: true, hasTouch: true });
  await page.goto(`${server.url}/album/${album.id}`);
  await page.click('[aria-label="Play Alpha"]');
  for (const path of paths) {
    await page.goto(server.url + path);
    await page.waitForSelector('main:not([aria-busy="true"]) :is(h1, .orders)');
    for (const width of [400, 360]) {
      await page.setViewportSize({ width, height: 720 });
      const wide = await page.evaluate(() => document.documentElement.scrollWidth);
      assert.ok(wide <= width, `${path} has ${wide} px where ${width} are seen`);
    }
    await shoot(page, `phone${path.replace(/\W+/g, '-').slice(0, 20)}`);
  }
  await page.focus('.search input');
  const box = await page.locator('.search').boundingBox();
  assert.ok(box.width >= 320, `the search box has ${box.width} px`);
  await page.fill('.search input', 'alp');
  await page.waitForSelector('.found-title >> text=Alpha');
  await shoot(page, 'phone-search');
  assert.deepEqual(page.wrong, []);
});
