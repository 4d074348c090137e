import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chooseCover, compareTracks, guessAlbum, guessTrack } from '../src/upload/names';

const track = (name: string, folder?: string) => {
  const { number, title, disc } = guessTrack(name, folder);
  return [disc, number, title];
};

test('a number before the title is the track number', () => {
  assert.deepEqual(track('01 - Prelude.flac'), [null, 1, 'Prelude']);
  assert.deepEqual(track('02. Air.mp3'), [null, 2, 'Air']);
  assert.deepEqual(track('03_the_third_one.ogg'), [null, 3, 'the third one']);
  assert.deepEqual(track('[04] Four.wav'), [null, 4, 'Four']);
  assert.deepEqual(track('Track 05.wav'), [null, 5, 'Track 5']);
});

test('a disc is read from the name or the folder', () => {
  assert.deepEqual(track('1-07 Seven.flac'), [1, 7, 'Seven']);
  assert.deepEqual(track('07 Seven.flac', 'CD 2'), [2, 7, 'Seven']);
});

test('the artist before the title is left out', () => {
  assert.deepEqual(track('Anna - Album - 03 - Third.ogg'), [null, 3, 'Third']);
  assert.deepEqual(track('03 Anna - Third.ogg'), [null, 3, 'Third']);
});

test('titles keep their own numbers and dashes', () => {
  assert.deepEqual(track('99 Luftballons.mp3'), [null, 99, 'Luftballons']);
  assert.deepEqual(track('Blue.wav'), [null, null, 'Blue']);
  assert.deepEqual(track('Left - Right.wav'), [null, null, 'Left - Right']);
  assert.deepEqual(track('東京.flac'), [null, null, '東京']);
});

test('a folder names artist, album and year', () => {
  assert.deepEqual(guessAlbum('Anna - Blue (2019)'), { artist: 'Anna', title: 'Blue', year: '2019' });
  assert.deepEqual(guessAlbum('2019 - Blue [FLAC]'), { artist: '', title: 'Blue', year: '2019' });
  assert.deepEqual(guessAlbum('Anna - 2019 - Blue'), { artist: 'Anna', title: 'Blue', year: '2019' });
  assert.deepEqual(guessAlbum('Blue'), { artist: '', title: 'Blue', year: '' });
});

test('the front cover wins, then the larger picture', () => {
  const image = (name: string, size: number) => ({ name, size });
  const back = image('back.jpg', 9000);
  assert.equal(chooseCover([back, image('Cover.JPG', 100)])?.name, 'Cover.JPG');
  assert.equal(chooseCover([image('a.png', 5), back])?.name, 'back.jpg');
  assert.equal(chooseCover([]), null);
});

test('tracks sort by disc, number, then name as people do', () => {
  const names = ['10 ten.mp3', '2 two.mp3', 'b10.mp3', 'b9.mp3', '2-01 other.mp3'];
  const sorted = names.map((filename) => ({ filename, ...guessTrack(filename) })).sort(compareTracks);
  assert.deepEqual(
    sorted.map((t) => t.filename),
    ['2 two.mp3', '10 ten.mp3', 'b9.mp3', 'b10.mp3', '2-01 other.mp3'],
  );
});
