// The order of play. Pure: every function answers a new queue.
import type { Track } from '../types';

export interface Queue {
  tracks: Track[];
  index: number;
}

export const emptyQueue: Queue = { tracks: [], index: -1 };

export const currentOf = (queue: Queue): Track | null => queue.tracks[queue.index] ?? null;

/** The playable tracks of an album, standing at the one that was chosen. */
export function queueFrom(tracks: Track[], chosenId?: string): Queue {
  const playable = tracks.filter((track) => track.status === 'ready');
  const at = playable.findIndex((track) => track.id === chosenId);
  return { tracks: playable, index: playable.length === 0 ? -1 : Math.max(0, at) };
}

export function nextIndex(queue: Queue): number | null {
  return queue.index + 1 < queue.tracks.length ? queue.index + 1 : null;
}

export function previousIndex(queue: Queue): number | null {
  return queue.index > 0 ? queue.index - 1 : null;
}

export const at = (queue: Queue, index: number): Queue => ({ ...queue, index });
