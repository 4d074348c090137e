import { audios, server, settled, track, until, type FakeAudio } from './player_page';
import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { currentTrack, expect, player, playTracks, positionNow, setVolume, skip, stopAll, toggle, toggleMute } from '../src/player/player';
import { dismiss, toasts } from '../src/toasts';

const sounding = (): FakeAudio | undefined => audios.find((audio) => !audio.paused && audio.readyState >= 3);
const said = () => toasts.get().map(({ text }) => text);

/** Plays these until the first sounds, in originals, as a phone without media source does. */
async function playing(...ids: string[]): Promise<FakeAudio> {
  await playTracks(ids.map((id) => track(id)));
  await until(() => sounding() !== undefined && !player.get().waiting);
  server.asked.length = 0;
  return sounding()!;
}

beforeEach(() => {
  stopAll();
  toasts.get().forEach(({ id }) => dismiss(id));
  Object.assign(server, { isAway: false, answer: () => ({}), media: () => !server.isAway });
  server.asked.length = 0;
});

test('after Next it plays, and the page knows it', async () => {
  const audio = await playing('1', '2');
  server.answer = () => settled().then(() => ({})); // the pause of what was left is told before
  await skip(1);
  await until(() => sounding() !== undefined);
  await settled();
  assert.ok(player.get().playing && !player.get().waiting);
  assert.deepEqual(audios.map(({ source }) => source).filter(Boolean), ['http://here/m/2/original#t=0']);
  audio.pause();
  await until(() => !player.get().playing);
});

test('a line that breaks in an original is waited for, and the place is kept', async () => {
  const audio = await playing('11');
  audio.sound(40);
  server.isAway = true;
  audio.break();
  await until(() => said().length > 0);
  assert.deepEqual(said(), ['The server doesn’t answer. The sound goes on when it does.']);
  assert.ok(player.get().playing && player.get().waiting);
  server.isAway = false;
  await until(() => sounding() !== undefined);
  assert.equal(positionNow(), 40);
});

test('what can’t be loaded at all ends with a word, and the place is kept', async () => {
  const audio = await playing('21');
  audio.sound(40);
  server.media = () => false;
  audio.break();
  await until(() => !player.get().playing);
  assert.deepEqual([said(), positionNow()], [['The sound could not be loaded.'], 40]);
  server.media = () => true;
  await toggle();
  await until(() => sounding() !== undefined);
  assert.equal(sounding()!.currentTime, 40);
});

test('a track that has failed is passed over with a word', async () => {
  await playing('31', '32', '33');
  server.answer = (id) => ({ status: id === '32' ? 409 : 200 });
  await skip(1);
  await until(() => currentTrack()?.id === '33' && sounding() !== undefined);
  assert.deepEqual(said(), ['Track 32: Answer 409.']);
  assert.deepEqual(server.asked, ['32', '33']);
  assert.ok(player.get().playing);
});

test('where nothing is left to pass on to it ends', async () => {
  await playing('41', '42');
  server.answer = () => ({ status: 404 });
  await skip(1);
  await until(() => !player.get().playing);
  assert.deepEqual(said(), ['Answer 404.']);
});

test('a next track that is not there is asked for once ahead', async () => {
  const audio = await playing('51', '52');
  server.answer = () => ({ status: 404 });
  audio.sound(182);
  for (let i = 0; i < 20; i += 1) {
    await settled(2);
    audio.sound(0.25);
  }
  assert.deepEqual(server.asked, ['52']);
});

test('who pauses before it begins is not played to', async () => {
  let answer = () => {};
  server.answer = () => new Promise((resolve) => (answer = () => resolve({})));
  const begun = playTracks([track('61')]);
  await until(() => server.asked.length === 1);
  await toggle();
  answer();
  await begun;
  await settled();
  assert.ok(!player.get().playing && sounding() === undefined);
  await toggle();
  await until(() => sounding() !== undefined);
});

test('a track that is left and taken again while it is asked for plays, once', async () => {
  const answers: (() => void)[] = [];
  server.answer = () => new Promise((resolve) => answers.push(() => resolve({})));
  const begun = [playTracks([track('71')])];
  await until(() => answers.length === 1);
  begun.push(playTracks([track('72')]));
  await until(() => answers.length === 2);
  begun.push(playTracks([track('71')]));
  await settled();
  answers.forEach((answer) => answer());
  await Promise.all(begun);
  await until(() => sounding() !== undefined);
  assert.deepEqual(audios.map(({ source }) => source).filter(Boolean), ['http://here/m/71/original#t=0']);
});

test('a track that fails when another plays already leaves that alone', async () => {
  const answers: ((status: number) => void)[] = [];
  server.answer = () => new Promise((resolve) => answers.push((status) => resolve({ status })));
  const left = playTracks([track('81')]);
  await until(() => answers.length === 1);
  expect('82');
  await until(() => answers.length === 2);
  const taken = playTracks([track('82')]);
  answers[0]!(404);
  await left;
  answers[1]!(200);
  await taken;
  await until(() => sounding() !== undefined);
  assert.ok(player.get().playing);
  assert.deepEqual(said(), []);
});

test('a click on Unmute is heard', () => {
  setVolume(0.6);
  toggleMute();
  assert.ok(player.get().muted);
  toggleMute();
  assert.deepEqual([player.get().muted, player.get().volume], [false, 0.6]);
  setVolume(0.3, false);
  setVolume(0, false);
  setVolume(0);
  toggleMute();
  assert.deepEqual([player.get().muted, player.get().volume], [false, 0.6]);
  setVolume(0.05);
  setVolume(0);
  toggleMute();
  assert.equal(player.get().volume, 0.2);
});
