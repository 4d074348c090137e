import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gradientOf, initials } from '../src/art';
import { clock, plural, size, span, year } from '../src/format';
import { ConnectionLost, isPassing, Problem, words } from '../src/problem';
import { parsePath } from '../src/router';

test('times', () => {
  assert.equal(clock(0), '0:00');
  assert.equal(clock(63.9), '1:03');
  assert.equal(clock(3723), '1:02:03');
  assert.equal(clock(NaN), '–:––');
  assert.equal(span(20_000), '1 min');
  assert.equal(span(63 * 60_000), '1 h 3 min');
  assert.equal(year('2019-05-01'), '2019');
  assert.equal(year(null), '');
});

test('sizes and counts', () => {
  assert.equal(size(999), '999 B');
  assert.equal(size(1000), '1.0 kB');
  assert.equal(size(34_567_890), '34.6 MB');
  assert.equal(plural(1, 'track'), '1 track');
  assert.equal(plural(0, 'track'), '0 tracks');
});

test('colours belong to the id', () => {
  assert.deepEqual(gradientOf('17'), gradientOf('17'));
  assert.notDeepEqual(gradientOf('17'), gradientOf('18'));
  assert.equal(initials('the long – road'), 'TL');
  assert.equal(initials('ø'), 'Ø');
  assert.equal(initials('…'), '');
});

test('problems in words', () => {
  const problem = new Problem(422, {
    title: 'Invalid',
    errors: [{ field: 'title', message: 'A title is needed.' }],
  });
  assert.equal(problem.field('title'), 'A title is needed.');
  assert.equal(problem.field('name'), '');
  assert.equal(words(problem), 'A title is needed.');
  assert.equal(words(new Problem(404, { title: 'Not found', detail: 'No such album.' })), 'No such album.');
  assert.match(words(new TypeError('Failed to fetch')), /can’t be reached/);
});

test('only what may pass is tried again', () => {
  assert.equal(isPassing(new Problem(503, {})), true);
  assert.equal(isPassing(new Problem(429, {})), true);
  assert.equal(isPassing(new Problem(500, {})), false);
  assert.equal(isPassing(new Problem(403, {})), false);
  assert.equal(isPassing(new ConnectionLost()), true);
});

test('paths and their views', () => {
  assert.deepEqual(parsePath('/'), { name: 'home' });
  assert.deepEqual(parsePath(''), { name: 'home' });
  assert.deepEqual(parsePath('/album/17'), { name: 'album', id: '17' });
  assert.deepEqual(parsePath('/artist/3/'), { name: 'artist', id: '3' });
  assert.deepEqual(parsePath('/upload'), { name: 'upload' });
  assert.deepEqual(parsePath('/album/x'), { name: 'lost' });
});
