import { answers, settled, until } from './page';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createOutbox } from '../src/library/outbox';
import { startKeptQueue } from '../src/library/kept_queue';
import { startPlays } from '../src/library/plays';
import { player, stopAll } from '../src/player/player';
import { adopt, endSession, onUserChange, session, userId } from '../src/session';
import type { Session, Track } from '../src/types';

const sessionOf = (id: string, expiresIn = 900) =>
  ({ user: { id, username: `user${id}`, roles: [] }, accessToken: `token of ${id}`, expiresIn }) as unknown as Session;
const signIn = (id: string, expiresIn?: number) => adopt(sessionOf(id, expiresIn));

const kept = (name: string) => JSON.parse(localStorage.getItem(name) ?? '[]') as unknown;

function marked() {
  localStorage.removeItem('tutti.changes.7');
  const outbox = createOutbox<number>('changes', 'me/changes', 'changes');
  outbox.add('7', 1);
  outbox.add('7', 2);
  return outbox;
}

test('what was marked stays until the server has taken or refused it', async () => {
  signIn('7');
  for (const [status, left] of [[401, 2], [403, 2], [404, 2], [429, 2], [500, 2], [503, 2], [507, 2], [400, 0], [422, 0], [200, 0]] as const) {
    const outbox = marked();
    const asked = answers(({ path }) => ({ status: path === 'me/changes' ? status : 503 }));
    await outbox.flush();
    assert.equal(asked[0]!.path, 'me/changes');
    assert.deepEqual(asked[0]!.body, { changes: [1, 2] });
    assert.equal(outbox.waiting().length, left, `after ${status}`);
  }
});

test('a cut line, or an answer that is not the server’s, tells nothing', async () => {
  signIn('7');
  for (const answer of [() => Promise.reject(new TypeError('Failed to fetch')), () => ({ body: '<p>Welcome to our hotel’s network</p>' })]) {
    const outbox = marked();
    answers(answer);
    await outbox.flush();
    assert.equal(outbox.waiting().length, 2);
  }
});

test('what was marked stays when the session ended meanwhile', async () => {
  signIn('7', 1);
  const outbox = marked();
  const asked = answers(() => ({ status: 401 }));
  await outbox.flush();
  assert.deepEqual(asked.map(({ path }) => path), ['auth/refresh']);
  assert.equal(session.get().kind, 'out');
  assert.deepEqual(kept('tutti.changes.7'), [1, 2]);
});

test('nothing is told in the name of who is signed in next', async () => {
  signIn('7', 1);
  const outbox = marked();
  const asked = answers(() => ({ body: sessionOf('8') })); // the tabs share a cookie
  await outbox.flush();
  assert.equal(userId(), '8');
  assert.deepEqual(asked.filter(({ path }) => path === 'me/changes'), []);
  assert.deepEqual(kept('tutti.changes.7'), [1, 2]);
});

const track = { id: '5', albumId: '1', status: 'ready', durationMs: 200_000 } as Track;

test('the play that signing out ends is kept for who heard it', () => {
  signIn('7');
  answers(() => new Promise(() => {}));
  startPlays();
  onUserChange(stopAll);
  for (let position = 0; position <= 40; position += 0.25) {
    player.update((state) => ({ ...state, queue: { tracks: [track], index: 0, growing: false }, playing: true, position, duration: 200 }));
  }
  endSession();
  const [play] = kept('tutti.plays.7') as { trackId: string; playedMs: number }[];
  assert.deepEqual([play?.trackId, play?.playedMs], ['5', 40_000]);
});

test('the queue stays to be told when the server fails, and goes when it refuses it', async () => {
  endSession();
  answers(() => ({ status: 503 }));
  startKeptQueue();
  signIn('7');
  await settled();
  const queue = () => (kept('tutti.queue.7') as { list: unknown }).list;
  for (const status of [500, 422]) {
    const asked = answers(() => ({ status }));
    player.update((state) => ({ ...state, queue: { tracks: [{ ...track }], index: 0, growing: false } }));
    await until(() => asked.some(({ path }) => path === 'me/queue'));
    await settled();
    assert.equal(queue() !== null, status === 500, `after ${status}`);
  }
});
