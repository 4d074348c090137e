import assert from 'node:assert/strict';
import { test } from 'node:test';
import { backoff } from '../src/backoff';
import { fingerprint, matchAlbum, parseJournal } from '../src/upload/journal';
import { partRanges } from '../src/upload/transfer';
import { renumber } from '../src/upload/plan';
import { Rate, timeLeft } from '../src/upload/rate';

test('parts cover the file once, the last one short', () => {
  assert.deepEqual(partRanges(25, 10), [
    { number: 1, start: 0, end: 10 },
    { number: 2, start: 10, end: 20 },
    { number: 3, start: 20, end: 25 },
  ]);
  assert.deepEqual(partRanges(20, 10).length, 2);
  assert.deepEqual(partRanges(0, 10), [{ number: 1, start: 0, end: 0 }]);
});

test('waits grow, are jittered and bounded', () => {
  assert.equal(backoff(1, 0), 250);
  assert.equal(backoff(1, 0.999), 500);
  assert.equal(backoff(3, 0), 1000);
  assert.equal(backoff(50, 1), 15_000);
});

const now = 1_700_000_000_000;
const album = (key: string, files: string[]) => ({
  key,
  fields: { title: key, artistId: '1' },
  startedAt: now,
  files: Object.fromEntries(files.map((f) => [f, {}])),
});

test('files dropped again find the album they belong to', () => {
  const one = fingerprint({ name: 'a.wav', size: 1, lastModified: 2 });
  const journal = [album('other', ['x']), album('mine', [one, 'b'])];
  assert.equal(matchAlbum(journal, [one])?.key, 'mine');
  assert.equal(matchAlbum(journal, ['nothing']), null);
  assert.notEqual(one, fingerprint({ name: 'a.wav', size: 1, lastModified: 3 }));
});

test('a journal that is old or damaged counts as none', () => {
  const text = JSON.stringify([album('mine', ['x'])]);
  assert.equal(parseJournal(text, now + 1000).length, 1);
  assert.equal(parseJournal(text, now + 25 * 3600 * 1000).length, 0);
  assert.deepEqual(parseJournal('{', now), []);
  assert.deepEqual(parseJournal(null, now), []);
});

test('missing and doubled numbers are filled in', () => {
  const file = {} as File;
  const planned = (number: number, disc: number | null = null) => ({ file, title: '', number, disc });
  const numbers = renumber([planned(1), planned(0), planned(2), planned(1, 2), planned(0, 2)]);
  assert.deepEqual(
    numbers.map((t) => t.number),
    [1, 2, 3, 1, 2],
  );
});

test('the rate is an average over the last seconds', () => {
  const rate = new Rate();
  rate.add(0, 0);
  assert.equal(rate.perSecond, 0);
  rate.add(1000, 1000);
  assert.equal(rate.perSecond, 1000);
  for (let second = 2; second < 30; second += 1) {
    rate.add(1000 + second * 10, second * 1000);
  }
  assert.equal(Math.round(rate.perSecond), 10);
  assert.equal(timeLeft(1000, 100), 'about 10 s left');
  assert.equal(timeLeft(100_000, 100), 'about 17 min left');
  assert.equal(timeLeft(100, 0), '');
});
