// The order of play. Pure: every function answers a new queue.
import type { Track } from '../types';

export interface Queue {
  tracks: Track[];
  index: number;
  /** More of its album's tracks will be playable soon. */
  growing: boolean;
}

/** As many are kept for the other devices. */
export const QUEUE_MAX = 2000;

export const emptyQueue: Queue = { tracks: [], index: -1, growing: false };

export const currentOf = (queue: Queue): Track | null => queue.tracks[queue.index] ?? null;

/** The playable of a list's tracks, standing at the one that was chosen; of very many those around it. Only an album's list grows: what waits in another is not
 * of one album. */
export function queueFrom(tracks: Track[], chosen = 0): Queue {
  const isReady = (track: Track) => track.status === 'ready';
  const playable = tracks.filter(isReady);
  const at = tracks[chosen] && isReady(tracks[chosen]!) ? tracks.slice(0, chosen).filter(isReady).length : 0;
  const growing = tracks.every(({ albumId }) => albumId === tracks[0]!.albumId) && tracks.some((track) => !isReady(track) && track.status !== 'failed');
  const from = Math.max(0, Math.min(at - QUEUE_MAX / 2, playable.length - QUEUE_MAX));
  return { tracks: playable.slice(from, from + QUEUE_MAX), index: playable.length === 0 ? -1 : at - from, growing };
}

/** The queue with an album's list as it is now; it stands at the same track. Other albums change nothing. */
export function grown(queue: Queue, tracks: Track[]): Queue {
  const current = currentOf(queue);
  if (!queue.growing || !current || !tracks.some((track) => track.id === current.id && track.status === 'ready')) {
    return queue;
  }
  return queueFrom(tracks, tracks.findIndex((track) => track.id === current.id));
}

/** With more behind it, where it still is what the list made of it. */
export function continued(queue: Queue, list: Track[], more: Track[]): Queue {
  const { tracks } = queueFrom(list);
  const isThat = tracks.length === queue.tracks.length && tracks.every((track, i) => track === queue.tracks[i]);
  return isThat && more.length > 0 ? { ...queue, tracks: [...tracks, ...queueFrom(more).tracks].slice(0, QUEUE_MAX) } : queue;
}

export function nextIndex(queue: Queue): number | null {
  return queue.index + 1 < queue.tracks.length ? queue.index + 1 : null;
}

export function previousIndex(queue: Queue): number | null {
  return queue.index > 0 ? queue.index - 1 : null;
}

/** One track elsewhere; what plays goes on. */
export function moved(queue: Queue, from: number, to: number): Queue {
  const tracks = [...queue.tracks];
  const [track] = tracks.splice(from, 1);
  if (!track || to < 0 || to > tracks.length) {
    return queue;
  }
  tracks.splice(to, 0, track);
  let { index } = queue;
  if (from === index) {
    index = to;
  } else {
    index += Number(to <= index && from > index) - Number(from < index && to >= index);
  }
  return { ...queue, tracks, index };
}

/** Without a track that is not the one that plays. */
export function without(queue: Queue, index: number): Queue {
  if (index === queue.index || index < 0 || index >= queue.tracks.length) {
    return queue;
  }
  const tracks = queue.tracks.filter((_, i) => i !== index);
  return { tracks, index: queue.index - Number(index < queue.index), growing: false };
}

export const at = (queue: Queue, index: number): Queue => ({ ...queue, index });

const entries = new WeakMap<Track, number>();
let lastEntry = 0;

/** A name for each entry that it keeps wherever it is moved. A list's entries are objects of their own, also where a track
 * stands there twice; were one object there twice, its place among its likes tells them apart. */
export function entryKeys(tracks: Track[]): string[] {
  const seen = new Map<Track, number>();
  return tracks.map((track) => {
    if (!entries.has(track)) {
      lastEntry += 1;
      entries.set(track, lastEntry);
    }
    const before = seen.get(track) ?? 0;
    seen.set(track, before + 1);
    return `${entries.get(track)}.${before}`;
  });
}
