// What a listener does, once through the real page: a folder of music is brought in, a song of it found misspelt and in another
// script, heard, kept, put into a playlist with a friend, and all of that is on a second device.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { device, openBrowser, shoot, texts } from './browser.mjs';
import { Person, Server, until } from './server.mjs';
import { plucked } from './sounds.mjs';

const ALBUM = 'Группа крови';
const SONGS = ['Звезда по имени Солнце', 'Пачка сигарет'];

let parent;
let server;
let browser;

before(async () => {
  parent = mkdtempSync(join(tmpdir(), 'tutti-music-'));
  mkdirSync(join(parent, 'Кино', ALBUM), { recursive: true });
  SONGS.forEach((title, i) => writeFileSync(join(parent, 'Кино', ALBUM, `0${i + 1} ${title}.wav`), plucked(40, 22050, i + 1)));
  server = await Server.start({ environment: { TUTTI_IMPORT_FOLDERS: parent } });
  for (const [name, role] of [['root', 'admin'], ['anna', 'listener'], ['bo', 'listener']]) {
    server.addUser(name, role);
  }
  browser = await openBrowser();
});

after(async () => {
  await browser?.close();
  await server?.stop();
  if (parent) {
    rmSync(parent, { recursive: true, force: true });
  }
});

test('a folder is brought in, and what a listener does with it follows them', async () => {
  const root = await device(browser, server, 'root');
  await root.goto(`${server.url}/folders`);
  await root.click('button:has-text("Look now")');
  await root.waitForSelector('[aria-label="Looks"] >> text=2 files');

  const anna = await device(browser, server, 'anna');
  const person = await Person.signIn(server, 'anna');
  for (const word of ['zvezda', 'pachka']) {
    await until(() => person.call('GET', `/api/v1/search?q=${word}`), ({ tracks }) => tracks.length === 1);
  }
  await anna.type('.search input', 'zvesda po imni', { delay: 15 });
  await anna.click(`.found-title >> text=${SONGS[0]}`);
  const sounds = () => [...document.querySelectorAll('audio')].some((audio) => audio.currentTime > 1.5);
  await anna.waitForFunction(sounds, null, { timeout: 300_000 }); // what plays is made first
  await anna.click(`[aria-label="Make ${SONGS[0]} a favourite"]`);
  await anna.click(`[aria-label="Add ${SONGS[0]} to a playlist"]`);
  await anna.click('text=New playlist');
  await anna.waitForSelector(`text=Added to ${ALBUM}`);
  await shoot(anna, 'story-album');
  await anna.click('nav[aria-label="Main"] >> text=Library');
  await anna.click(`.playlists >> text=${ALBUM}`);
  await anna.click('text=Invite to edit');
  const link = await anna.inputValue('.given-link input');
  await anna.click('.player [aria-label="Pause"]');

  const bo = await device(browser, server, 'bo');
  await bo.goto(link);
  await bo.waitForSelector(`h1 >> text=${ALBUM}`);
  await bo.type('.search input', 'pachka', { delay: 15 });
  await bo.click(`.found-title >> text=${SONGS[1]}`);
  await bo.click(`[aria-label="Add ${SONGS[1]} to a playlist"]`);
  await bo.click(`.row-menu [role=menuitem]:has-text("${ALBUM}")`);
  await bo.waitForSelector(`text=Added to ${ALBUM}`);

  const phone = await device(browser, server, 'anna', { width: 360, height: 720 }, { isMobile: true, hasTouch: true });
  await phone.waitForSelector(`.player .now-title >> text=${SONGS[0]}`);
  await phone.click('nav[aria-label="Main"] [href="library"]');
  await phone.waitForSelector(`[aria-label="Take ${SONGS[0]} out of the favourites"]`);
  await shoot(phone, 'story-library-on-a-phone');
  await phone.click(`.playlists >> text=${ALBUM}`);
  await phone.waitForSelector(`h1 >> text=${ALBUM}`);
  assert.deepEqual(await texts(phone, '.row-title'), SONGS);
  await shoot(phone, 'story-playlist-on-a-phone');
  await until(() => person.call('GET', '/api/v1/me/queue'), ({ positionMs }) => positionMs > 1500);
  assert.deepEqual([...root.wrong, ...anna.wrong, ...bo.wrong, ...phone.wrong], []);
});
