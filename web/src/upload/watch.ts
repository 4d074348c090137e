// Watches an album's tracks while the server works on them. Polls: often at first, then less; push
// replaces this one file later.
import { api } from '../api';
import type { Track } from '../types';

const FIRST_MS = 700;
const MOST_MS = 4000;

export function isSettled(track: Track): boolean {
  return track.status === 'ready' || track.status === 'failed';
}

/** Calls `seen` with each new list until all tracks are settled and no more are expected; returns how to
 * stop. */
export function watchAlbum(
  albumId: string,
  seen: (tracks: Track[]) => void,
  moreExpected: () => boolean = () => false,
): () => void {
  let delay = FIRST_MS;
  let timer = 0;
  let stopped = false;
  let before = '';

  async function look(): Promise<void> {
    const tracks = await api.albumTracks(albumId).then((page) => page.items, () => null);
    if (stopped) {
      return;
    }
    const now = JSON.stringify(tracks);
    delay = now === before ? Math.min(MOST_MS, delay * 1.4) : FIRST_MS;
    before = now;
    if (tracks) {
      seen(tracks);
    }
    if (!tracks || moreExpected() || !tracks.every(isSettled)) {
      timer = window.setTimeout(look, document.hidden ? MOST_MS : delay);
    }
  }

  timer = window.setTimeout(look, FIRST_MS);
  return () => {
    stopped = true;
    clearTimeout(timer);
  };
}
