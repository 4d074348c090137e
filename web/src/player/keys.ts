// The keyboard: space plays and pauses, arrows seek and change the volume, N and P move, M mutes.
import { currentTrack, player, seekBy, setVolume, skip, toggle, toggleMute } from './player';

const STEP_S = 5;
const VOLUME_STEP = 0.05;

const actions: Record<string, () => void> = {
  ' ': () => void toggle(),
  ArrowLeft: () => seekBy(-STEP_S),
  ArrowRight: () => seekBy(STEP_S),
  ArrowUp: () => setVolume(player.get().volume + VOLUME_STEP),
  ArrowDown: () => setVolume(player.get().volume - VOLUME_STEP),
  n: () => void skip(1),
  p: () => void skip(-1),
  m: toggleMute,
};

/** Fields and menus keep all their keys, buttons and links the space bar, sliders the arrows. */
function isTaken(target: EventTarget | null, key: string): boolean {
  const inside = (selector: string) => target instanceof Element && target.closest(selector) !== null;
  return (
    inside('input, textarea, select, [contenteditable], [role="menu"]') ||
    (key === ' ' && inside('button, a')) ||
    (key.startsWith('Arrow') && inside('[role="slider"]'))
  );
}

export function startKeys(): void {
  document.addEventListener('keydown', (event) => {
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const action = actions[key];
    const modified = event.ctrlKey || event.metaKey || event.altKey;
    if (!action || modified || event.defaultPrevented || !currentTrack() || isTaken(event.target, key)) {
      return;
    }
    event.preventDefault();
    action();
  });
}
