import { answers, settled, until } from './page';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { markOf, startMarks } from '../src/library/marks';
import { adopt, endSession } from '../src/session';
import type { Session } from '../src/types';
import { loadPlaylists, playlists } from '../src/views/add_to_playlist';

const signIn = (id: string) =>
  adopt({ user: { id, username: `user${id}`, roles: [] }, accessToken: `token of ${id}`, expiresIn: 900 } as unknown as Session);

const secret = { body: { items: [{ id: '1', title: 'Secret' }], next: null } };
const titles = () => playlists.get()?.map(({ title }) => title);

test('the playlists of one person are not those of the next', async () => {
  signIn('7');
  answers(() => secret);
  await loadPlaylists();
  assert.deepEqual(titles(), ['Secret']);
  endSession();
  assert.equal(playlists.get(), null);
  signIn('8');
  assert.equal(playlists.get(), null);
});

test('an answer that comes when somebody else is signed in is nobody’s', async () => {
  signIn('7');
  let answer = (_: object) => {};
  answers(() => new Promise((resolve) => (answer = resolve)));
  const loaded = loadPlaylists();
  await settled();
  signIn('8');
  answer(secret);
  await loaded;
  assert.equal(playlists.get(), null);
});

test('neither are favourites, however late they come', async () => {
  endSession();
  startMarks();
  const waiting = new Map<string | null, (answer: object) => void>();
  answers(({ token }) => new Promise((resolve) => waiting.set(token, resolve)));
  signIn('7');
  await until(() => waiting.has('Bearer token of 7'));
  signIn('8');
  await until(() => waiting.has('Bearer token of 8'));
  const changes = (id: string) => ({ body: { items: [{ what: 'favourite', kind: 'track', id, value: 1, at: 1 }], revision: 1, more: false } });
  waiting.get('Bearer token of 8')!(changes('80'));
  waiting.get('Bearer token of 7')!(changes('70'));
  await until(() => markOf('favourite', 'track', '80') === 1);
  await settled();
  assert.equal(markOf('favourite', 'track', '70'), 0);
});
