// What somebody keeps, in the real page: a favourite and a playlist made on one device are there on another, a stranger
// opens a shared link, what was heard is told, also when the tab is closed in the middle, and all of it leaves as files.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { device, openBrowser, shoot, texts } from './browser.mjs';
import { Person, Server, until } from './server.mjs';
import { plucked } from './sounds.mjs';

let server;
let browser;
let listener;
let album;

before(async () => {
  server = await Server.start();
  server.addUser('root', 'admin'); // or the page asks for one
  server.addUser('artist', 'artist');
  server.addUser('listener', 'listener');
  const artist = await Person.signIn(server, 'artist');
  const page = await artist.becomeArtist('The Keepers');
  const sounds = ['Kept', 'Heard'].map((title, i) => ({ title, data: plucked(5, 44100, i + 1) }));
  ({ album } = await artist.uploadAlbum(page.id, 'Things to Keep', sounds, { whole: false }));
  listener = await Person.signIn(server, 'listener');
  browser = await openBrowser();
});

after(async () => {
  await browser?.close();
  await server?.stop();
});

test('a favourite and a playlist of one device are on another', async () => {
  const phone = await device(browser, server, 'listener');
  await phone.goto(`${server.url}/album/${album.id}`);
  await phone.waitForSelector('.row-title >> text=Kept');
  assert.deepEqual(await texts(phone, '.row-artist'), [], 'the album says it once');
  await phone.click('[aria-label="Make Kept a favourite"]');
  await phone.waitForSelector('[aria-label="Take Kept out of the favourites"]');
  await phone.click('[aria-label="Add Heard to a playlist"]');
  await phone.click('text=New playlist');
  await phone.waitForSelector('text=Added to Things to Keep');
  await shoot(phone, 'album-with-hearts');
  await until(
    () => listener.call('GET', '/api/v1/me/favourites/track'),
    ({ items }) => items.length === 1 && items[0].track.title === 'Kept',
  );

  const laptop = await device(browser, server, 'listener');
  await laptop.click('text=Library');
  await laptop.waitForSelector('.playlists >> text=Things to Keep');
  await laptop.waitForSelector('.row-title >> text=Kept');
  await shoot(laptop, 'library');
  await laptop.click('.playlists a');
  await laptop.waitForSelector('.row-title >> text=Heard');
  assert.deepEqual(await texts(laptop, '.row-artist'), ['The Keepers'], 'whose it is');
  await shoot(laptop, 'playlist');
  assert.deepEqual([...phone.wrong, ...laptop.wrong], []);
});

test('an album is made a favourite and rated, and stands in those lists on another device', async () => {
  const phone = await device(browser, server, 'listener', { width: 390, height: 844 });
  await phone.goto(`${server.url}/album/${album.id}`);
  await phone.click('[aria-label="Make Things to Keep a favourite"]');
  await phone.click('[aria-label="Rate Things to Keep 2 of 5"]');
  await phone.click('[aria-label="Rate Things to Keep 4 of 5"]');
  await phone.waitForSelector('[aria-label="Take the rating of Things to Keep away"]');
  await shoot(phone, 'album-rated');
  await until(
    () => listener.call('GET', '/api/v1/me/ratings/album'),
    ({ items }) => items.length === 1 && items[0].rating === 4,
  );
  const laptop = await device(browser, server, 'listener');
  for (const list of ['favourites', 'rated']) {
    await laptop.goto(`${server.url}/albums/${list}`);
    await laptop.waitForSelector('main >> text=Things to Keep');
  }
  await laptop.click('main >> text=Things to Keep');
  await laptop.click('[aria-label="Take the rating of Things to Keep away"]');
  await until(
    () => listener.call('GET', '/api/v1/me/ratings/album'),
    ({ items }) => items.length === 0,
  );
  await laptop.click('[aria-label="Take Things to Keep out of the favourites"]');
  await until(
    () => listener.call('GET', '/api/v1/me/favourites/album'),
    ({ items }) => items.length === 0,
  );
  assert.deepEqual([...phone.wrong, ...laptop.wrong], []);
});

test('a stranger opens a shared link', async () => {
  const { items } = await listener.call('GET', '/api/v1/playlists');
  const { path } = await listener.call('POST', `/api/v1/playlists/${items[0].id}/share`);
  const page = await (await browser.newContext()).newPage();
  await page.goto(server.url + path);
  await page.waitForSelector('text=Heard');
  await shoot(page, 'shared');
});

/** What has the keyboard as soon as that is clicked, before the browser paints or a timer runs. */
const focusedAtOnce = (page, selector) =>
  page.locator(selector).first().evaluate(async (element) => {
    element.click();
    for (let turn = 0; turn < 5; turn += 1) {
      await null;
    }
    const { activeElement: at } = document;
    return at.name || at.role || at.tagName;
  });

test('what opens has the keyboard at once', async () => {
  const page = await device(browser, server, 'listener');
  await page.goto(`${server.url}/library`);
  await page.waitForSelector('text=New playlist');
  assert.equal(await focusedAtOnce(page, 'button >> text=New playlist'), 'title');
  await page.goto(`${server.url}/album/${album.id}`);
  await page.waitForSelector('[aria-label="Add Heard to a playlist"]');
  assert.equal(await focusedAtOnce(page, '[aria-label="Add Heard to a playlist"]'), 'menuitem');
  assert.deepEqual(page.wrong, []);
});

test('a playlist is made by its name, named anew, shared, and shared no more; a guest leaves it', async () => {
  const page = await device(browser, server, 'listener', { width: 390, height: 844 });
  await page.goto(`${server.url}/library`);
  await page.click('text=New playlist');
  await page.keyboard.type('Rainy days');
  await page.keyboard.press('Enter');
  await page.waitForSelector('h1 >> text=Rainy days');
  await page.waitForSelector('text=Nothing in it yet');
  await page.click('text=Rename');
  await page.keyboard.press('Escape');
  await page.click('text=Rename');
  await page.keyboard.type('Rainy nights');
  await page.keyboard.press('Enter');
  await page.waitForSelector('h1 >> text=Rainy nights');
  await page.click('text=Share by a link');
  await page.waitForSelector('text=Stop sharing');
  await shoot(page, 'playlist-empty');
  const link = await page.inputValue('.given-link input');
  await shoot(page, 'playlist-shared');
  const stranger = await (await browser.newContext()).newPage();
  await stranger.goto(link);
  await stranger.waitForSelector('h1 >> text=Rainy nights');
  await page.click('text=Stop sharing');
  await page.waitForSelector('text=Its links open nothing any more');
  assert.equal(await page.locator('.given-link').count(), 0);
  await stranger.reload();
  await stranger.waitForSelector('text=It isn’t here');
  const { items } = await listener.call('GET', '/api/v1/playlists');
  const { id } = items.find(({ title }) => title === 'Rainy nights');

  server.addUser('guest', 'listener');
  const { token } = await listener.call('POST', `/api/v1/playlists/${id}/invite`, { access: 'view' });
  const guest = await device(browser, server, 'guest');
  await guest.goto(`${server.url}/join/${token}`);
  await guest.waitForSelector('h1 >> text=Rainy nights');
  await guest.waitForSelector('text=Rainy nights is among your playlists now');
  assert.equal(await guest.locator('text=Rename').count(), 0, 'it may be read alone');
  await guest.click('text=Leave');
  await guest.waitForSelector('text=The + beside a track puts it into one');
  await listener.call('DELETE', `/api/v1/playlists/${id}`);
  assert.deepEqual([...page.wrong, ...guest.wrong], []);
});

test('a long playlist is there to its end, and plays to its end', async () => {
  const { id } = await listener.call('POST', '/api/v1/playlists', { title: 'Long' });
  const { items: tracks } = await listener.call('GET', `/api/v1/albums/${album.id}/tracks`);
  for (let i = 0; i < 4; i += 1) {
    await listener.call('POST', `/api/v1/playlists/${id}/items`, { trackIds: Array.from({ length: 150 }, (_, j) => tracks[j % 2].id) });
  }
  const page = await device(browser, server, 'listener');
  await page.goto(`${server.url}/playlist/${id}`);
  await page.click('.button.play');
  await until(
    () => listener.call('GET', '/api/v1/me/queue'),
    ({ trackIds }) => trackIds.length === 600,
  );
  await page.click('[aria-label^="Pause"]');
  const rows = page.locator('[aria-label="Tracks"] > li');
  await until(
    async () => {
      await rows.last().scrollIntoViewIfNeeded();
      return rows.count();
    },
    (count) => count === 600,
  );
  const { path } = await listener.call('POST', `/api/v1/playlists/${id}/share`);
  await page.goto(server.url + path);
  await until(
    async () => {
      await rows.last().scrollIntoViewIfNeeded();
      return rows.count();
    },
    (count) => count === 600,
  );
  assert.deepEqual(page.wrong, []);
  await listener.call('DELETE', `/api/v1/playlists/${id}`);
});

test('what was heard is told, also by a tab that is closed', async () => {
  const page = await device(browser, server, 'listener');
  await page.goto(`${server.url}/album/${album.id}`);
  await page.click('[aria-label="Play Heard"]');
  await page.waitForFunction(() => [...document.querySelectorAll('audio')].some((audio) => audio.currentTime > 2.2));
  const now = () => listener.call('GET', '/api/v1/me/playing');
  await until(now, ({ playing }) => playing?.track.title === 'Heard');
  await page.goto('about:blank');
  const { items } = await until(
    () => listener.call('GET', '/api/v1/me/history'),
    (history) => history.items.length > 0,
  );
  assert.equal(items[0].track.title, 'Heard');
  assert.ok(items[0].playedMs >= 1000 && items[0].playedMs <= 5000 && items[0].source === 'album', JSON.stringify(items[0]));
});

/** The name and text of what the page downloads by a click. */
async function downloaded(page, selector) {
  const [download] = await Promise.all([page.waitForEvent('download'), page.click(selector)]);
  return { name: download.suggestedFilename(), text: readFileSync(await download.path(), 'utf8') };
}

test('a playlist leaves as a file, and comes back from one', async () => {
  const { items } = await listener.call('GET', '/api/v1/playlists');
  const { id } = items.find(({ title }) => title === 'Things to Keep');
  const page = await device(browser, server, 'listener');
  await page.goto(`${server.url}/playlist/${id}`);
  const files = {};
  for (const format of ['m3u8', 'xspf', 'jspf']) {
    await page.click('[aria-label="Export Things to Keep"]');
    await shoot(page, 'playlist-export');
    files[format] = await downloaded(page, `[role=menuitem] >> text=${format.toUpperCase()}`);
    assert.equal(files[format].name, `Things to Keep.${format}`);
    assert.match(files[format].text, /Heard/);
  }
  await page.goto(`${server.url}/library`);
  const choose = async (name, text) => {
    await page.setInputFiles('text=Import a playlist', { name, mimeType: '', buffer: Buffer.from(text) });
    await page.waitForSelector(`[aria-label="Imported"] >> text=${name.replace(/\..*/, '')}`);
  };
  await choose('Things to Keep.xspf', files.xspf.text);
  await page.waitForSelector('text=1 of 1 track is here');
  await choose('From Elsewhere.m3u', '#EXTM3U\n#EXTINF:5,The Keepers - Kept\nC:\\music\\kept.mp3\n#EXTINF:200,Nobody - Unheard Of\nx.mp3\n');
  await page.waitForSelector('text=1 of 2 tracks is here');
  assert.match((await texts(page, '[aria-label="Not found"] li'))[0], /^Nobody – Unheard Of\s*Line 5: ./);
  await shoot(page, 'playlist-import');
  await page.click('[aria-label="Imported"] a');
  await page.waitForSelector('h1 >> text=From Elsewhere');
  assert.deepEqual(await texts(page, '.row-title'), ['Kept']);
  await page.goto(`${server.url}/library`);
  await page.setInputFiles('text=Import a playlist', { name: 'song.mp3', mimeType: '', buffer: Buffer.from('x') });
  await page.waitForSelector('.toast.error >> text=A playlist’s name ends in .m3u');
  await page.setInputFiles('text=Import a playlist', { name: 'broken.jspf', mimeType: '', buffer: Buffer.from('{') });
  await page.waitForSelector('.toast.error >> nth=1');
  assert.deepEqual(page.wrong, []);
});

test('a tab that is handed to somebody else shows nothing of the one before', async () => {
  server.addUser('next', 'listener');
  const next = await Person.signIn(server, 'next');
  const user = await next.call('GET', '/api/v1/me');
  const page = await device(browser, server, 'listener');
  await page.click('text=Library');
  await page.waitForSelector('.playlists >> text=Things to Keep');
  const other = await page.context().newPage();
  await other.goto(server.url);
  await other.waitForSelector('nav[aria-label="Main"]');
  await other.evaluate(
    ([token, user]) => new BroadcastChannel('tutti.session').postMessage({ kind: 'token', token, user }),
    [{ value: next.token, expiresAt: Date.now() + 86_400_000 }, user],
  );
  await page.waitForSelector('[aria-label="Account of next"]');
  await page.waitForSelector('text=None yet. The + beside a track puts it into one.');
  await page.waitForSelector('text=No favourites yet');
  assert.equal(await page.locator('text=Things to Keep').count(), 0);
  assert.deepEqual(page.wrong, []);
});

test('all that is kept on somebody is theirs to take away', async () => {
  const page = await device(browser, server, 'listener');
  await page.click('[aria-label="Account of listener"]');
  await page.click('text=My data');
  await shoot(page, 'data');
  const { name, text } = await downloaded(page, 'text=Download it');
  assert.match(name, /^tutti-listener-\d{4}-\d\d-\d\d\.json$/);
  const data = JSON.parse(text);
  assert.equal(data.user.username, 'listener');
  assert.deepEqual(data.marks.map(({ title }) => title), ['Kept']);
  assert.ok(data.playlists.length >= 1 && data.listens.length >= 1, text);
  assert.deepEqual(page.wrong, []);
});
