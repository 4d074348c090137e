import { settled } from './page';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { h, render } from 'preact';
import { createStore, useStore } from '../src/store';

/** A view that was drawn, and has watched its stores since. */
async function drawn(view: () => string) {
  render(h(view, null), document.body);
  await settled();
  return async () => {
    await settled();
    return document.body.textContent;
  };
}

test('a view sees what changes of the part that its newest drawing picks', async () => {
  const player = createStore({ track: 'none', playing: false });
  const shows = await drawn(() => {
    const isCurrent = useStore(player, (state) => state.track === 'mine');
    const playing = useStore(player, (state) => isCurrent && state.playing);
    return playing ? 'Pause' : 'Play';
  });
  assert.equal(await shows(), 'Play');
  player.set({ track: 'mine', playing: true });
  assert.equal(await shows(), 'Pause');
  player.set({ track: 'mine', playing: false });
  assert.equal(await shows(), 'Play');
  player.set({ track: 'mine', playing: true });
  assert.equal(await shows(), 'Pause');
});

test('a view is drawn again only when its part changes', async () => {
  const player = createStore({ position: 0, playing: false });
  let drawings = 0;
  const shows = await drawn(() => {
    drawings += 1;
    return String(useStore(player, (state) => state.playing));
  });
  for (let position = 1; position < 5; position += 1) {
    player.update((state) => ({ ...state, position }));
    assert.equal(await shows(), 'false');
  }
  assert.equal(drawings, 1);
  player.update((state) => ({ ...state, playing: true }));
  assert.equal(await shows(), 'true');
  assert.equal(drawings, 2);
});
