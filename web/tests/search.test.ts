import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Asker, type Asked } from '../src/search/asker';
import { groupsOf, stepped } from '../src/search/choices';
import type { Found } from '../src/types';

/** An asker whose questions are answered by hand. */
function byHand() {
  const questions: { text: string; signal: AbortSignal; answer: (value: string) => void; fail: (error: Error) => void }[] = [];
  const told: (Asked<string> | null)[] = [];
  const failures: unknown[] = [];
  const asker = new Asker<string>(
    (text, signal) => new Promise((answer, fail) => questions.push({ text, signal, answer, fail })),
    (asked) => told.push(asked),
    (error) => failures.push(error),
    1,
  );
  return { asker, questions, told, failures };
}

test('only what stands there after a rest is asked', async () => {
  const { asker, questions, told } = byHand();
  for (const text of ['b', 'bo', '  boh ']) {
    asker.type(text);
  }
  await sleep(20);
  assert.deepEqual(questions.map((question) => question.text), ['boh']);
  questions[0]!.answer('Bohemian');
  await sleep(1);
  assert.deepEqual(told, [{ text: 'boh', answer: 'Bohemian' }]);
});

test('an answer that was overtaken is taken back and dropped', async () => {
  const { asker, questions, told, failures } = byHand();
  asker.type('first');
  await sleep(20);
  asker.type('second');
  assert.ok(questions[0]!.signal.aborted);
  await sleep(20);
  questions[1]!.answer('2');
  questions[0]!.answer('1');
  await sleep(1);
  assert.deepEqual(told, [{ text: 'second', answer: '2' }]);
  asker.type('third');
  await sleep(20);
  asker.type('   ');
  questions[2]!.fail(new Error('taken back'));
  await sleep(20);
  assert.deepEqual(told.at(-1), null);
  assert.deepEqual(failures, []);
  assert.equal(questions.length, 3);
});

test('a failure of the newest question is told', async () => {
  const { asker, questions, failures } = byHand();
  asker.type('x');
  await sleep(20);
  questions[0]!.fail(new Error('no'));
  await sleep(1);
  assert.equal(failures.length, 1);
});

test('what is to be done with the answer waits for the one to what stands there', async () => {
  const { asker, questions } = byHand();
  const done: string[] = [];
  const act = ({ answer }: Asked<string>) => done.push(answer);
  asker.type('first');
  await sleep(20);
  questions[0]!.answer('1');
  await sleep(1);
  asker.whenAnswered(act);
  assert.deepEqual(done, ['1'], 'it is there');
  asker.type('second');
  asker.whenAnswered(act);
  assert.deepEqual(done, ['1'], 'the one to the former text is not it');
  await sleep(20);
  questions[1]!.answer('2');
  await sleep(1);
  assert.deepEqual(done, ['1', '2']);
  for (const takeBack of [() => asker.type('fourth'), () => asker.whenAnswered(null)]) {
    asker.type('third');
    asker.whenAnswered(act);
    takeBack();
    await sleep(20);
    questions.at(-1)!.answer('3');
    await sleep(1);
  }
  assert.deepEqual(done, ['1', '2'], 'taken back');
});

test('choices are numbered through, and arrows go round', () => {
  const found = {
    tracks: [{ id: '1', title: 'Song', artistName: 'A', albumTitle: 'B', albumId: '7', coverArtId: null }],
    albums: [],
    artists: [{ id: '2', name: 'Artist', imageArtId: null }, { id: '3', name: 'Other', imageArtId: null }],
    playlists: [{ id: '9', title: 'Evenings', access: 'edit' }],
  } as unknown as Found;
  const groups = groupsOf(found);
  assert.deepEqual(groups.map((group) => [group.title, group.first, group.choices.length]), [['Songs', 0, 1], ['Artists', 1, 2], ['Playlists', 3, 1]]);
  assert.equal(groups[0]!.choices[0]!.path, '/album/7');
  assert.equal(groups[1]!.choices[1]!.path, '/artist/3');
  assert.equal(groups[2]!.choices[0]!.path, '/playlist/9');
  assert.deepEqual([stepped(-1, 1, 3), stepped(-1, -1, 3), stepped(2, 1, 3), stepped(0, -1, 3), stepped(-1, 1, 0)], [0, 2, 0, 2, -1]);
});
