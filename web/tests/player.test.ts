import assert from 'node:assert/strict';
import { test } from 'node:test';
import { at, currentOf, grown, nextIndex, previousIndex, queueFrom } from '../src/player/queue';
import { exactEnd, levelFor, rungOf } from '../src/player/quality';
import { parseWaveform, wavePath } from '../src/player/waveform';
import { startPlaylist } from '../src/player/sources';
import type { Track } from '../src/types';

const track = (id: string, status = 'ready') => ({ id, status }) as Track;

test('the queue holds what can be played and stands at the choice', () => {
  const queue = queueFrom([track('1'), track('2', 'processing'), track('3')], '3');
  assert.deepEqual(queue.tracks.map((t) => t.id), ['1', '3']);
  assert.equal(currentOf(queue)?.id, '3');
  assert.equal(nextIndex(queue), null);
  assert.equal(previousIndex(queue), 0);
  assert.equal(currentOf(at(queue, 0))?.id, '1');
  assert.equal(queueFrom([track('2', 'failed')]).index, -1);
});

test('tracks that become ready join the queue of their album', () => {
  const queue = queueFrom([track('1'), track('2', 'processing'), track('3')], '3');
  const now = grown(queue, [track('1'), track('2'), track('3')]);
  assert.deepEqual(now.tracks.map((t) => t.id), ['1', '2', '3']);
  assert.equal(currentOf(now)?.id, '3');
  assert.equal(now.growing, false);
  assert.equal(grown(queue, [track('8'), track('9')]), queue, 'another album');
  assert.equal(grown(now, [track('3')]), now, 'a whole one stays as it is');
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
