import { audios, server, settled, until } from './player_page';
import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { Deck } from '../src/player/deck';
import type { Feed, FeedEvents } from '../src/player/feed';
import type { Stream } from '../src/types';

interface FakeFeed extends Feed {
  address: string;
  place: number;
  isOpen: boolean;
  events: FeedEvents;
}

let feeds: FakeFeed[];
let heard: string[] = [];
let resumes: boolean;

function openFeed(audio: HTMLAudioElement, stream: Stream, _choice: unknown, place: () => number, events: FeedEvents): Feed {
  const feed: FakeFeed = {
    address: stream.trackUrl,
    place: place(),
    isOpen: true,
    events,
    choose: (choice) => choice !== 320,
    hurry: () => {},
    resume: () => resumes,
    close: () => {
      feed.isOpen = false;
      audio.load();
    },
  };
  feeds.push(feed);
  return feed;
}

function newDeck() {
  const tell = (word: string) => () => void heard.push(word);
  const events = { time() {}, state() {}, ended() {}, rung() {}, paused: tell('paused'), lost: tell('lost'), failed: tell('failed') };
  const deck = new Deck(events, openFeed);
  return { deck, audio: audios.at(-1)! };
}

/** A deck that has played to 40 s. */
async function playing() {
  const { deck, audio } = newDeck();
  await deck.load('1');
  audio.stand(0);
  await deck.play();
  audio.sound(40);
  assert.equal(deck.position, 40);
  server.asked.length = 0;
  return { deck, audio };
}

beforeEach(() => {
  feeds = [];
  heard = [];
  resumes = false;
  Object.assign(server, { isAway: false, answer: () => ({}), media: () => true });
  server.asked.length = 0;
});

test('of loads that overtake each other the last is attached, once', async () => {
  const answers: (() => void)[] = [];
  server.answer = () => new Promise((resolve) => answers.push(() => resolve({})));
  const { deck } = newDeck();
  const loads = [deck.load('21'), deck.load('22'), deck.load('21')];
  await until(() => answers.length === 2);
  answers.forEach((answer) => answer());
  await Promise.all(loads);
  assert.deepEqual(feeds.map(({ address }) => address), ['m/21/original']);
});

test('a load that was overtaken asks no more, also where the same track is loaded again', async () => {
  server.answer = (id) => (id === '31' ? { status: 409, retryAfter: 2 } : {});
  const { deck } = newDeck();
  void deck.load('31');
  await until(() => server.asked.length === 1);
  await deck.load('32');
  server.answer = () => ({});
  await deck.load('31');
  await settled(100);
  assert.deepEqual(server.asked, ['31', '32', '31']);
  assert.deepEqual(feeds.map(({ address, isOpen }) => [address, isOpen]), [['m/32/original', false], ['m/31/original', true]]);
});

test('while the server is away what is buffered sounds, and afterwards it goes on', async () => {
  const { deck, audio } = await playing();
  resumes = true;
  server.isAway = true;
  feeds[0]!.events.failed(new Error('line'));
  audio.sound(10);
  await settled(100);
  assert.ok(feeds[0]!.isOpen && !audio.paused && deck.position === 50);
  assert.equal(heard.length, 0, 'as long as there is sound');
  audio.readyState = 2;
  await until(() => heard.includes('lost'));
  server.isAway = false;
  await until(() => server.asked.length === 1);
  await settled();
  assert.ok(feeds[0]!.isOpen && feeds.length === 1, 'the same, which has its buffer yet');
  assert.ok(!heard.includes('failed'));
});

test('what must be opened anew stands where it was, and is never seen at 0', async () => {
  const { deck, audio } = await playing();
  feeds[0]!.events.failed(new Error('gone'));
  await until(() => feeds.length === 2);
  assert.equal(feeds[1]!.place, 40);
  assert.ok(!feeds[0]!.isOpen && !audio.paused, 'it wants to sound');
  assert.ok(audio.currentTime === 0 && audio.readyState === 0);
  audio.sound(0);
  assert.equal(deck.position, 40);
  audio.stand(40);
  await settled();
  audio.sound(1);
  assert.equal(deck.position, 41);
});

test('who pauses while the server is away is not played to when it is back', async () => {
  const { deck, audio } = await playing();
  server.isAway = true;
  feeds[0]!.events.failed(new Error('line'));
  deck.pause();
  deck.seek(90);
  server.isAway = false;
  await until(() => feeds.length === 2);
  await settled();
  assert.ok(audio.paused);
  assert.equal(feeds[1]!.place, 90);
});

test('it gives up after a few failures in a row, but sound between them begins anew', async () => {
  const { audio } = await playing();
  const fail = async () => {
    const { length } = feeds;
    feeds.at(-1)!.events.failed(new Error('gone'));
    await until(() => feeds.length > length || heard.includes('failed'));
    audio.stand(feeds.at(-1)!.place);
    await settled();
  };
  for (let i = 0; i < 10; i += 1) {
    await fail();
    audio.sound(6);
  }
  assert.deepEqual(heard, []);
  for (let i = 0; i < 6; i += 1) {
    await fail();
    audio.sound(1);
  }
  assert.deepEqual(heard.slice(0, 1), ['failed']);
});

test('a rung that came since is asked for without an end to the sound', async () => {
  const { deck } = await playing();
  let answer = () => {};
  server.answer = () => new Promise((resolve) => (answer = () => resolve({})));
  deck.setChoice(320);
  await until(() => server.asked.length === 1);
  assert.ok(feeds[0]!.isOpen);
  answer();
  await until(() => feeds.length === 2);
  assert.equal(feeds[1]!.place, 40);
});

test('what is being made is waited for, what has failed is not', async () => {
  const { deck } = newDeck();
  server.answer = () => (server.asked.length < 3 ? { status: 409, retryAfter: 2 } : {});
  await deck.load('41');
  assert.deepEqual(server.asked, ['41', '41', '41']);
  server.answer = () => ({ status: 409 });
  await assert.rejects(deck.load('42'));
  assert.equal(server.asked.filter((id) => id === '42').length, 1);
  assert.equal(deck.trackId, null);
});

test('a pause by the system is told, one of a track before is not', async () => {
  const { deck, audio } = await playing();
  audio.pause();
  await until(() => heard.includes('paused'));
  await deck.play();
  deck.pause();
  void deck.play();
  deck.pause();
  server.answer = () => settled().then(() => ({}));
  await deck.load('52');
  assert.deepEqual(heard, ['paused']);
});

test('an element that fails is given everything anew, whatever feeds it', async () => {
  const { audio } = await playing();
  resumes = true;
  audio.break();
  await until(() => feeds.length === 2);
  await settled();
  assert.ok(feeds[1]!.place === 40 && audio.error === null && !audio.paused);
});
