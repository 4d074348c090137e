import assert from 'node:assert/strict';
import { test } from 'node:test';
import { at, continued, currentOf, entryKeys, grown, moved, nextIndex, previousIndex, queueFrom, without } from '../src/player/queue';
import { exactEnd, levelFor, rungOf } from '../src/player/quality';
import { parseWaveform, wavePath } from '../src/player/waveform';
import { startPlaylist } from '../src/player/sources';
import type { Track } from '../src/types';

const track = (id: string, status = 'ready', albumId = 'a') => ({ id, status, albumId }) as Track;

test('the queue holds what can be played and stands at the choice', () => {
  const queue = queueFrom([track('1'), track('2', 'processing'), track('3')], 2);
  assert.deepEqual(queue.tracks.map((t) => t.id), ['1', '3']);
  assert.equal(currentOf(queue)?.id, '3');
  assert.equal(nextIndex(queue), null);
  assert.equal(previousIndex(queue), 0);
  assert.equal(currentOf(at(queue, 0))?.id, '1');
  assert.equal(queueFrom([track('2', 'failed')]).index, -1);
  assert.equal(queueFrom([]).index, -1);
  assert.equal(queueFrom([track('1'), track('2'), track('1')], 2).index, 2, 'the one of two alike that was chosen');
});

test('tracks that become ready join the queue of their album', () => {
  const queue = queueFrom([track('1'), track('2', 'processing'), track('3')], 2);
  const now = grown(queue, [track('1'), track('2'), track('3')]);
  assert.deepEqual(now.tracks.map((t) => t.id), ['1', '2', '3']);
  assert.equal(currentOf(now)?.id, '3');
  assert.equal(now.growing, false);
  assert.equal(grown(queue, [track('8'), track('9')]), queue, 'another album');
  assert.equal(grown(now, [track('3')]), now, 'a whole one stays as it is');
  const mixed = queueFrom([track('1'), track('2', 'processing'), track('7', 'ready', 'b')]);
  assert.equal(grown(mixed, [track('1'), track('2')]), mixed, 'a playlist does not become the album of what it plays');
});

test('what is fetched later of a list stands behind what plays of it', () => {
  const list = [track('1'), track('2', 'failed'), track('3')];
  const queue = queueFrom(list, 2);
  const now = continued(queue, list, [track('4', 'processing'), track('5')]);
  assert.deepEqual(now.tracks.map(({ id }) => id), ['1', '3', '5']);
  assert.equal(currentOf(now)?.id, '3');
  for (const other of [moved(queue, 0, 1), without(queue, 0), queueFrom([track('1'), track('3')])]) {
    assert.equal(continued(other, list, [track('5')]), other, 'it was changed meanwhile');
  }
});

test('of a very long list the queue holds what is around the choice', () => {
  const list = Array.from({ length: 5000 }, (_, i) => track(String(i)));
  for (const chosen of [0, 999, 1001, 2500, 4999]) {
    const queue = queueFrom(list, chosen);
    assert.equal(currentOf(queue)?.id, String(chosen));
    assert.equal(queue.tracks.length, 2000);
  }
  const begun = queueFrom(list.slice(0, 1900), 7);
  const now = continued(begun, list.slice(0, 1900), list.slice(1900, 2300));
  assert.ok(now.tracks.length === 2000 && currentOf(now)?.id === '7');
});

test('moving and taking out leave what plays as it is', () => {
  const four = queueFrom(['1', '2', '3', '4'].map((id) => track(id)), 1);
  const ids = (queue: typeof four) => queue.tracks.map(({ id }) => id).join('');
  for (let from = 0; from < 4; from += 1) {
    for (let to = 0; to < 4; to += 1) {
      const queue = moved(four, from, to);
      assert.equal(currentOf(queue)?.id, '2', `${from} to ${to}`);
      assert.equal(queue.tracks[to], four.tracks[from]);
      assert.equal([...ids(queue)].sort().join(''), '1234');
    }
    assert.equal(currentOf(without(four, from))?.id, '2');
  }
  assert.equal(ids(moved(four, 0, 2)), '2314');
  assert.equal(ids(without(four, 0)), '234');
  for (const same of [moved(four, 9, 0), moved(four, 0, 4), moved(four, 0, -1), without(four, 1), without(four, 4)]) {
    assert.equal(same, four);
  }
});

test('an entry keeps its name wherever it is moved', () => {
  const queue = queueFrom([track('1'), track('2'), track('1'), track('3')]);
  const keys = entryKeys(queue.tracks);
  assert.equal(new Set(keys).size, 4, 'also of a track that stands there twice');
  assert.deepEqual(entryKeys(moved(queue, 2, 0).tracks), [keys[2], keys[0], keys[1], keys[3]]);
  const one = track('1');
  assert.equal(new Set(entryKeys([one, one])).size, 2);
});

test('measured bandwidths are named by their rung', () => {
  assert.equal(rungOf(99_400), 96);
  assert.equal(rungOf(171_000), 160);
  assert.equal(rungOf(331_000), 320);
  assert.equal(levelFor(160, [101_000, 168_000, 330_000]), 1);
  assert.equal(levelFor(320, [168_000]), 0);
  assert.equal(levelFor(320, []), -1);
});

test('the end of a track is exact to the microsecond above', () => {
  assert.equal(exactEnd(44_100, 1000), 1);
  assert.equal(exactEnd(500_000, 11_338), 11.337869);
  assert.equal(exactEnd(48_000, 1000), 1);
});

test('the warm playlist is the one of the first rung', () => {
  const master = [
    '#EXTM3U',
    '#EXT-X-STREAM-INF:BANDWIDTH=330000,AVERAGE-BANDWIDTH=329000,CODECS="mp4a.40.2"',
    'aac-320.m3u8',
    '#EXT-X-STREAM-INF:BANDWIDTH=168000,CODECS="mp4a.40.2"',
    'aac-160.m3u8',
  ].join('\n');
  assert.equal(startPlaylist(master, 'http://h/m/t/1/2/hls-320.m3u8', 160_000), 'http://h/m/t/1/2/aac-160.m3u8');
  assert.equal(startPlaylist('#EXTM3U', 'http://h/x', 160_000), null);
});

test('a waveform is read and drawn', () => {
  const data = new Uint8Array(16 + 4);
  data.set([0x54, 0x57, 0x46, 0x31]);
  data[12] = 4;
  data.set([0, 255, 128, 64], 16);
  const peaks = parseWaveform(data)!;
  assert.deepEqual([...peaks], [0, 255, 128, 64]);
  const path = wavePath(peaks);
  assert.equal(path.match(/M/g)?.length, 120);
  assert.ok(path.includes('v30.0'), 'the loudest peak is as high as the drawing');
  assert.equal(parseWaveform(new Uint8Array(40)), null);
});
