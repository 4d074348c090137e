// An admin's page of folders and libraries, in the real browser: a folder is looked at, what is broken in it has its
// reason, most of it gone is held back until somebody says so, a library is made of one of its folders, and what was imported is
// given to an account.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { device, openBrowser, shoot } from './browser.mjs';
import { Person, Server } from './server.mjs';
import { cover } from './pictures.mjs';
import { plucked } from './sounds.mjs';

const FILES = 24; // more than may be gone unasked

let folder;
let server;
let browser;
let page;

/** Files of sounds of their own, named by their paths. */
function album(path, count) {
  mkdirSync(join(folder, path), { recursive: true });
  for (let i = 1; i <= count; i += 1) {
    writeFileSync(join(folder, path, `${String(i).padStart(2, '0')} Piece ${i}.wav`), plucked(0.3, 8000, path.length * 100 + i));
  }
}

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'tutti-music-'));
  album('Ana/First', FILES);
  album('Bo/Second', 2);
  writeFileSync(join(folder, 'Bo', 'Second', 'cover.png'), cover(320));
  writeFileSync(join(folder, 'Bo', 'Second', '99 Broken.mp3'), 'no sound '.repeat(100));
  server = await Server.start({ environment: { TUTTI_IMPORT_FOLDERS: folder } });
  server.addUser('root', 'admin');
  server.addUser('friend', 'listener');
  server.addUser('other', 'listener');
  server.addUser('maker', 'artist');
  browser = await openBrowser();
  page = await device(browser, server, 'root', { width: 1280, height: 1000 });
  await page.click('[aria-label="Account of root"]');
  await page.click('text=Folders and libraries');
});

after(async () => {
  await browser?.close();
  await server?.stop();
  rmSync(folder, { recursive: true, force: true });
});

test('a folder is looked at, and what is broken in it has its reason', async () => {
  await page.waitForSelector(`[aria-label="Folders"] >> text="${folder}"`);
  await page.click('button:has-text("Look now")'); // before the first account there was nobody whose the music would be
  await page.waitForSelector(`[aria-label="Looks"] >> text=${FILES + 3} files`);
  await page.waitForSelector('[aria-label="Broken files"] >> text=Bo/Second/99 Broken.mp3');
  const reason = await page.textContent('[aria-label="Broken files"] small');
  assert.ok(reason.length > 5, reason);
  await page.waitForSelector('[aria-label="Folders"] >> text=watched');
  await shoot(page, 'folders');
});

test('most of a folder gone is held back until somebody says so', async () => {
  rmSync(join(folder, 'Ana'), { recursive: true });
  await page.click('button:has-text("Look now")');
  await page.waitForSelector(`[aria-label="Looks"] >> text=${FILES} of ${FILES + 3} files are gone`);
  await shoot(page, 'folders-held');
  await page.click('button:has-text("They are gone")');
  await page.waitForSelector('[aria-label="Missing files"] >> text=Ana/First/01 Piece 1.wav');
});

test('a library is made of a folder, for one who sees it', async () => {
  await page.click('button:has-text("New library")');
  await page.fill('.library-form input[name=name]', 'Late');
  await page.fill('.library-form textarea', join(folder, 'Bo'));
  await page.click('.readers >> text=friend');
  await shoot(page, 'folders-library-form');
  await page.click('.library-form >> text=Keep');
  await page.waitForSelector('[aria-label="Libraries"] >> text=seen by friend, admins');
  await page.click('button:has-text("Look now")');
  const friend = await Person.signIn(server, 'friend');
  const other = await Person.signIn(server, 'other');
  const titles = async (person) => (await person.call('GET', '/api/v1/albums')).items.map(({ title }) => title);
  for (let tries = 0; (await titles(other)).includes('Second'); tries += 1) {
    assert.ok(tries < 600, 'the album is seen by everybody still');
    await page.waitForTimeout(100);
  }
  assert.ok((await titles(friend)).includes('Second'));
  await shoot(page, 'folders-libraries');
  assert.deepEqual(page.wrong, []);
});

test('the cover of what only some see is shown to them', async () => {
  const root = await Person.signIn(server, 'root');
  const { id } = (await root.call('GET', '/api/v1/albums')).items.find(({ title }) => title === 'Second');
  let artId;
  for (let tries = 0; !artId; tries += 1) {
    assert.ok(tries < 600, 'the folder has a picture');
    await page.waitForTimeout(100);
    artId = (await root.call('GET', `/api/v1/albums/${id}`)).coverArtId;
  }
  assert.equal((await fetch(`${server.url}/api/v1/art/${artId}`)).status, 404);
  const friend = await device(browser, server, 'friend');
  const shown = () =>
    friend.waitForFunction(() => [...document.querySelectorAll('main .cover img')].some((one) => one.naturalWidth > 0));
  await friend.goto(`${server.url}/album/${id}`);
  await friend.waitForSelector('h1 >> text=Second');
  await shown();
  await shoot(friend, 'album-of-a-library');
  assert.deepEqual(friend.wrong, []);
  await friend.close();
});

test('an imported artist is given to an account', async () => {
  const root = await Person.signIn(server, 'root');
  const maker = await Person.signIn(server, 'maker');
  const own = await maker.becomeArtist('By hand');
  const bo = (await root.call('GET', '/api/v1/artists')).items.find(({ name }) => name === 'Bo');
  await page.goto(`${server.url}/artist/${own.id}`);
  await page.waitForSelector('h1 >> text=By hand');
  assert.equal(await page.locator('text=Give to an account').count(), 0, 'who made a page keeps it');
  await page.goto(`${server.url}/artist/${bo.id}`);
  await page.click('text=Give to an account');
  await page.selectOption('.give select', { label: 'maker' });
  await shoot(page, 'artist-give');
  await page.setViewportSize({ width: 360, height: 720 });
  await shoot(page, 'artist-give-on-a-phone');
  await page.click('.give .primary');
  await page.waitForSelector('text=Bo is maker’s now');
  const given = await root.call('GET', `/api/v1/artists/${bo.id}`);
  assert.equal(given.ownerId, (await maker.call('GET', '/api/v1/me')).id);
  const seen = await device(browser, server, 'maker');
  await seen.goto(`${server.url}/artist/${bo.id}`);
  await seen.waitForSelector('h1 >> text=Bo');
  assert.equal(await seen.locator('text=Give to an account').count(), 0, 'that is for admins');
  assert.deepEqual([...page.wrong, ...seen.wrong], []);
});
