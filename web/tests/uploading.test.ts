import { answers, settled, until, type Asked } from './page';
import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { adopt, endSession } from '../src/session';
import type { Session } from '../src/types';
import { cancelUpload, startUpload, uploadJob } from '../src/upload/album';
import { fingerprint, matchAlbum, readJournal } from '../src/upload/journal';

/** Requests to the object store, which a test lets through. */
let parts: StorePut[] = [];
let storeIsStuck = false;

class StorePut {
  upload = {};
  status = 200;
  name = '';
  aborted = false;
  onload = () => {};
  onabort = () => {};

  open(_: string, url: string): void {
    this.name = url.slice('http://store/'.length);
  }
  send(): void {
    parts.push(this);
    setTimeout(() => storeIsStuck || this.onload(), 0);
  }
  abort(): void {
    this.aborted = true;
    this.onabort();
  }
  getResponseHeader(): string {
    return '"tag"';
  }
}
Object.assign(globalThis, { XMLHttpRequest: StorePut });

/** The server, as far as an upload sees it. `except` answers in its place. */
function server(except: (asked: Asked) => ReturnType<Parameters<typeof answers>[0]> | undefined = () => undefined) {
  let albums = 0;
  return answers((asked) => {
    const { path, body } = asked;
    const other = except(asked);
    if (other) {
      return other;
    }
    switch (path) {
      case 'albums':
        return { body: { id: `album${(albums += 1)}` } };
      case 'uploads':
        return { body: { id: body.filename, state: 'open', trackUrl: 't', trackId: null, partSize: 1000, parts: [{ number: 1, url: `http://store/${String(body.filename)}` }] } };
      case 'tracks':
        return { body: { id: `track ${String(body.title)}` } };
      default:
        return { body: { items: [], next: null } };
    }
  });
}

const file = (name: string) => ({ name, size: 900, lastModified: 1, slice: () => new Blob() }) as unknown as File;
const names = ['1.wav', '2.wav', '3.wav', '4.wav', '5.wav', '6.wav'];
const plan = {
  artistId: '1',
  title: 'Album',
  releaseDate: '',
  type: 'album',
  cover: null as File | null,
  tracks: names.map((name, i) => ({ file: file(name), title: `Song ${i + 1}`, number: i + 1, disc: null })),
};
/** As the page does when the same files are dropped again. */
const begun = () => matchAlbum(readJournal(), plan.tracks.map(({ file }) => fingerprint(file)));

const signIn = (id: string) =>
  adopt({ user: { id, username: `user${id}`, roles: [] }, accessToken: `token of ${id}`, expiresIn: 900 } as unknown as Session);
const never = () => new Promise<never>(() => {});
const count = (asked: Asked[], path: string) => asked.filter((one) => one.path === path).length;

beforeEach(() => {
  parts = [];
  storeIsStuck = false;
  cancelUpload();
  endSession();
  localStorage.removeItem('tutti.uploads.7');
  signIn('7');
});

test('an upload that is stopped sends nothing any more, and goes on with the album it has begun', async () => {
  storeIsStuck = true;
  const asked = server();
  const run = startUpload(plan, null);
  await until(() => parts.length === 3);
  cancelUpload();
  await assert.rejects(run, { name: 'AbortError' });
  assert.ok(parts.every(({ aborted }) => aborted));
  const before = asked.length;
  await settled();
  assert.deepEqual([asked.length, parts.length, uploadJob.get()], [before, 3, null]);

  storeIsStuck = false;
  await startUpload(plan, begun());
  assert.deepEqual([count(asked, 'albums'), count(asked, 'tracks')], [1, 6]);
  assert.equal(uploadJob.get()?.finished, true);
  assert.deepEqual(readJournal(), []);
});

test('an upload that is stopped between two requests begins no other', async () => {
  const waiting: (() => void)[] = [];
  const late = () => new Promise<object>((resolve) => waiting.push(() => resolve({})));
  const asked = server(({ path }) => (path.endsWith('/complete') ? late() : undefined));
  const run = startUpload(plan, null);
  await until(() => waiting.length === 3);
  cancelUpload();
  waiting.forEach((answer) => answer());
  await assert.rejects(run, { name: 'AbortError' });
  await settled();
  assert.deepEqual([count(asked, 'uploads'), count(asked, 'tracks'), parts.length], [3, 0, 3]);
});

test('an album whose answer was lost is asked for once more, in the same words', async () => {
  let asked = server(({ path }) => (path === 'albums' ? never() : undefined));
  const run = startUpload(plan, null);
  await until(() => count(asked, 'albums') === 1);
  const { body, once } = asked[0]!;
  cancelUpload();
  await assert.rejects(run, { name: 'AbortError' });
  asked = server();
  await startUpload({ ...plan, releaseDate: '1999-01-01' }, begun());
  assert.deepEqual([asked[0]!.path, asked[0]!.body, asked[0]!.once], ['albums', body, once]);
});

test('an album that is refused is begun anew with what was put right', async () => {
  server(({ path }) => (path === 'albums' ? { status: 422 } : undefined));
  await assert.rejects(startUpload(plan, null), { status: 422 });
  assert.equal(begun(), null);
});

test('a cover that did not arrive is sent when the upload goes on, and one that did is not', async () => {
  const cover = file('cover.png');
  const puts = (asked: Asked[]) => asked.filter(({ path }) => path === 'albums/album1/cover').length;
  let asked = server(({ path }) => (path.endsWith('/cover') ? never() : undefined));
  const run = startUpload({ ...plan, cover }, null);
  await until(() => puts(asked) === 1);
  cancelUpload();
  await assert.rejects(run, { name: 'AbortError' });

  storeIsStuck = true;
  asked = server();
  const second = startUpload({ ...plan, cover }, begun());
  await until(() => parts.length === 3);
  assert.equal(puts(asked), 1);
  cancelUpload();
  await assert.rejects(second, { name: 'AbortError' });

  storeIsStuck = false;
  asked = server();
  await startUpload({ ...plan, cover }, begun());
  assert.equal(puts(asked), 0);
});

test('an upload ends with the session of who began it, and is theirs alone to go on with', async () => {
  storeIsStuck = true;
  const asked = server();
  const run = startUpload(plan, null);
  await until(() => parts.length === 3);
  endSession();
  await assert.rejects(run, { name: 'AbortError' });
  signIn('8');
  const before = asked.length;
  await sleep(800); // as long as the first look at the album's tracks would take
  assert.deepEqual([asked.length, uploadJob.get(), begun()], [before, null, null]);
  endSession();
  signIn('7');
  assert.equal(begun()?.albumId, 'album1');
});
