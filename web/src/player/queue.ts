// The order of play. Pure: every function answers a new queue.
import type { Track } from '../types';

export interface Queue {
  tracks: Track[];
  index: number;
  /** More of its album's tracks will be playable soon. */
  growing: boolean;
}

export const emptyQueue: Queue = { tracks: [], index: -1, growing: false };

export const currentOf = (queue: Queue): Track | null => queue.tracks[queue.index] ?? null;

/** The playable tracks of an album, standing at the one that was chosen. */
export function queueFrom(tracks: Track[], chosenId?: string): Queue {
  const playable = tracks.filter((track) => track.status === 'ready');
  const at = playable.findIndex((track) => track.id === chosenId);
  const growing = tracks.some((track) => track.status !== 'ready' && track.status !== 'failed');
  return { tracks: playable, index: playable.length === 0 ? -1 : Math.max(0, at), growing };
}

/** The queue with an album's list as it is now; it stands at the same track. Other albums change nothing. */
export function grown(queue: Queue, tracks: Track[]): Queue {
  const current = currentOf(queue);
  if (!queue.growing || !current || !tracks.some((track) => track.id === current.id && track.status === 'ready')) {
    return queue;
  }
  return queueFrom(tracks, current.id);
}

export function nextIndex(queue: Queue): number | null {
  return queue.index + 1 < queue.tracks.length ? queue.index + 1 : null;
}

export function previousIndex(queue: Queue): number | null {
  return queue.index > 0 ? queue.index - 1 : null;
}

export const at = (queue: Queue, index: number): Queue => ({ ...queue, index });
