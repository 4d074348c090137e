// Where a track's sound comes from: the play answer and, fetched ahead, the manifests and the first
// bytes that the player will ask for. A click then waits for nothing but the decoder.
import { api } from '../api';
import { Problem } from '../problem';
import { onUserChange } from '../session';
import type { Stream } from '../types';

/** A file's beginning, or a whole manifest, as it was fetched. */
export interface Warm {
  bytes: ArrayBuffer;
  /** How long it took, so that the estimate of the line stays true. */
  tookMs: number;
}

interface Source {
  stream: Promise<Stream>;
  expiresAt: number;
  warmed: boolean;
}

const SOURCES_MAX = 64;
const WARM_MAX = 24;
const MARGIN_MS = 5 * 60_000;

const sources = new Map<string, Source>();
const warm = new Map<string, Promise<Warm | null>>();

// What one person may hear is not the next one's.
onUserChange(() => {
  sources.clear();
  warm.clear();
});

/** Keeps the youngest `most` entries: a Map remembers their order. */
function bound(map: Map<string, unknown>, most: number): void {
  for (const key of map.keys()) {
    if (map.size <= most) {
      return;
    }
    map.delete(key);
  }
}

export function source(trackId: string): Promise<Stream> {
  const known = sources.get(trackId);
  if (known && known.expiresAt - MARGIN_MS > Date.now()) {
    return known.stream;
  }
  const entry: Source = { stream: api.stream(trackId), expiresAt: Infinity, warmed: false };
  sources.set(trackId, entry);
  bound(sources, SOURCES_MAX);
  entry.stream.then(
    (stream) => {
      entry.expiresAt = stream.expiresAt;
      if (!stream.hls && sources.get(trackId) === entry) {
        sources.delete(trackId); // there is more the next time
      }
    },
    () => sources.get(trackId) === entry && sources.delete(trackId),
  );
  return entry.stream;
}

/** This browser knows no way to play it. */
export class Unplayable extends Error {}

/** Nothing that this person may hear is there yet, but it will be. */
export const isBeingMade = (error: unknown): boolean => error instanceof Problem && error.status === 409 && error.retryAfter > 0;

/** There will be nothing: it was taken away, is not for this person, or its file has failed. */
export const isGone = (error: unknown): boolean =>
  error instanceof Unplayable || (error instanceof Problem && [403, 404, 409, 410].includes(error.status) && !isBeingMade(error));

/** The URLs no longer work: ask again next time. */
export function forgetSource(trackId: string): void {
  sources.delete(trackId);
}

async function fetchWarm(url: string, bytes?: number): Promise<Warm | null> {
  const started = performance.now();
  const headers = bytes ? { Range: `bytes=0-${bytes - 1}` } : undefined;
  const response = await fetch(url, { headers });
  if (!response.ok || (bytes && response.status !== 206)) {
    return null;
  }
  const body = await response.arrayBuffer();
  return { bytes: body, tookMs: performance.now() - started };
}

function keepWarm(url: string, bytes?: number): Promise<Warm | null> {
  let entry = warm.get(url);
  if (!entry) {
    entry = fetchWarm(url, bytes).catch(() => null);
    warm.set(url, entry);
    bound(warm, WARM_MAX);
  }
  return entry;
}

const isUri = (line: string) => line !== '' && !line.startsWith('#');

/** The media playlist of the rung that playback starts with. */
export function startPlaylist(master: string, url: string, bandwidth: number): string | null {
  const lines = master.split('\n').map((line) => line.trim());
  const found: { uri: string; distance: number }[] = [];
  lines.forEach((line, i) => {
    const stated = /^#EXT-X-STREAM-INF:.*?\bBANDWIDTH=(\d+)/.exec(line)?.[1];
    const uri = lines.slice(i + 1).find(isUri);
    if (stated && uri) {
      found.push({ uri, distance: Math.abs(Math.log(Number(stated) / bandwidth)) });
    }
  });
  const best = found.sort((a, b) => a.distance - b.distance)[0];
  return best ? new URL(best.uri, url).href : null;
}

export const START_RUNG = 160;

/** Fetches what the first second of a track needs. Cheap to call often. */
export async function prefetch(trackId: string): Promise<void> {
  const stream = await source(trackId);
  const entry = sources.get(trackId);
  if (!entry || entry.warmed || !stream.hls) {
    return;
  }
  entry.warmed = true;
  const file = stream.files.find((f) => f.format === 'aac' && f.bitrate === START_RUNG);
  if (file?.firstFragmentEnd) {
    void keepWarm(new URL(file.url, document.baseURI).href, file.firstFragmentEnd);
  }
  const hls = new URL(stream.hls, document.baseURI).href;
  const master = await keepWarm(hls);
  const playlist = master && startPlaylist(new TextDecoder().decode(master.bytes), hls, START_RUNG * 1000);
  if (playlist) {
    await keepWarm(playlist);
  }
}

/** What is at hand for a request of the player, or null. A manifest is handed out once: it may grow. */
export function takeWarm(url: string): Promise<Warm | null> | null {
  return warm.get(url) ?? null;
}

export function dropWarm(url: string): void {
  warm.delete(url);
}
