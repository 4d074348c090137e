import { answers, happens, settled, until } from './page';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { adopt, endSession, onUserChange, resume, session, staySignal, userId } from '../src/session';
import type { Session } from '../src/types';

const signedIn = (id: string) => ({ user: { id, username: `user${id}`, roles: [] }, accessToken: 't', expiresIn: 900 }) as unknown as Session;

test('a server that can’t be reached at the start has signed nobody out: it is asked until it answers', async () => {
  localStorage.setItem('tutti.signedIn', '1');
  let line: 'cut' | 'busy' | 'good' = 'cut';
  const asked = answers(() => {
    if (line === 'cut') {
      throw new TypeError('Failed to fetch');
    }
    return line === 'busy' ? { status: 503 } : { body: signedIn('7') };
  });
  const seen: string[] = [];
  session.subscribe(() => seen.push(session.get().kind));
  const resumed = resume();
  await until(() => asked.length === 1 && session.get().kind === 'unreachable');
  line = 'busy';
  happens('online');
  await until(() => asked.length >= 2);
  await settled();
  assert.equal(session.get().kind, 'unreachable');
  line = 'good';
  happens('online');
  await resumed;
  assert.equal(userId(), '7');
  assert.ok(!seen.includes('out'), `${seen}`);
  assert.equal(localStorage.getItem('tutti.signedIn'), '1');
});

test('who is told of another person hears of nothing else, and what was asked for the former one ends', () => {
  endSession();
  const heard: (string | null)[] = [];
  onUserChange(() => heard.push(userId()));
  adopt(signedIn('7'));
  const signal = staySignal();
  adopt({ ...signedIn('7'), accessToken: 'newer' });
  assert.deepEqual([heard, signal.aborted], [['7'], false]);
  adopt(signedIn('8'));
  assert.deepEqual([heard, signal.aborted, staySignal().aborted], [['7', '8'], true, false]);
  endSession();
  assert.deepEqual(heard, ['7', '8', null]);
});

test('a server that refuses at the start has signed out', async () => {
  localStorage.setItem('tutti.signedIn', '1');
  session.set({ kind: 'starting' });
  answers(() => ({ status: 401 }));
  await resume();
  assert.equal(session.get().kind, 'out');
  assert.equal(localStorage.getItem('tutti.signedIn'), null);
});
