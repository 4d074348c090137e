import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Meter } from '../src/library/meter';

/** Plays a track from one second to another, four steps a second. */
function hear(meter: Meter, track: string, from: number, to: number, duration = 200) {
  let ended = null;
  for (let at = from; at <= to; at += 0.25) {
    ended = meter.step(track, at, duration, 1000) ?? ended;
  }
  return ended;
}

test('a play is what was heard, from when it began', () => {
  const meter = new Meter();
  assert.equal(hear(meter, '1', 0, 40), null);
  assert.deepEqual(hear(meter, '2', 0, 1), { trackId: '1', startedAt: 1000, playedMs: 40000 });
  assert.deepEqual(meter.end(), { trackId: '2', startedAt: 1000, playedMs: 1000 });
  assert.equal(meter.end(), null);
});

test('what is skipped over is not heard, and hearing it again is', () => {
  const meter = new Meter();
  hear(meter, '1', 0, 10);
  hear(meter, '1', 100, 110);
  hear(meter, '1', 0.5, 5.5);
  assert.equal(meter.end()?.playedMs, 25000);
});

test('a slip of the finger is no play', () => {
  const meter = new Meter();
  hear(meter, '1', 0, 0.5);
  assert.equal(meter.step('2', 0, 200, 2000), null);
  assert.equal(meter.step(null, 0, 0, 3000), null);
});

test('a track that ends and begins again is two plays', () => {
  const meter = new Meter();
  hear(meter, '1', 0, 20, 20);
  assert.equal(hear(meter, '1', 0, 5, 20)?.playedMs, 20000);
  assert.equal(meter.end()?.playedMs, 5000);
});

test('a track that stood silent for long began when it was heard', () => {
  const meter = new Meter();
  meter.step('1', 60, 200, 1000);
  meter.step('1', 60, 200, 90_000);
  for (let at = 60; at <= 65; at += 0.25) {
    meter.step('1', at, 200, 100_000);
  }
  assert.deepEqual(meter.end(), { trackId: '1', startedAt: 100_000, playedMs: 5000 });
});
