// As much of a page as the player needs: audio elements that play what they are given, and a server of answers. Imported
// first. Its clock runs a hundred times too fast, so that patience can be tested.
import type { Stream, Track } from '../src/types';

const FASTER = 100;
const wait = globalThis.setTimeout;

export class FakeAudio extends EventTarget {
  readonly NETWORK_NO_SOURCE = 3;
  networkState = 0;
  readyState = 0;
  paused = true;
  ended = false;
  seeking = false;
  duration = NaN;
  volume = 1;
  muted = false;
  preload = '';
  error: { code: number } | null = null;
  source = '';
  private at = 0;

  fire(...names: string[]): void {
    queueMicrotask(() => names.forEach((name) => this.dispatchEvent(new Event(name))));
  }

  get src(): string {
    return this.source;
  }

  /** Its media is there a moment later, or is not. */
  set src(source: string) {
    this.load();
    this.source = source;
    wait(() => this.source === source && (server.media(source) ? this.stand(Number(source.split('#t=')[1] ?? 0)) : this.break()), 1);
  }

  get currentTime(): number {
    return this.at;
  }

  set currentTime(seconds: number) {
    this.at = seconds;
    this.fire('seeking', 'seeked');
  }

  /** Its media is there from `seconds` on. */
  stand(seconds: number): void {
    this.at = seconds;
    this.readyState = 4;
    this.duration = 200;
    this.fire('durationchange', 'canplay', ...(this.paused ? [] : ['playing']));
  }

  break(): void {
    this.error = { code: 2 };
    this.fire('error');
  }

  removeAttribute(): void {
    this.source = '';
  }

  load(): void {
    const moved = this.at !== 0;
    Object.assign(this, { paused: true, readyState: 0, at: 0, error: null, duration: NaN });
    this.fire('emptied', ...(moved ? ['timeupdate'] : []));
  }

  play(): Promise<void> {
    this.paused = false;
    this.fire('play', ...(this.readyState >= 3 ? ['playing'] : []));
    return Promise.resolve();
  }

  /** By the player or by the system: the event comes later. */
  pause(): void {
    if (!this.paused) {
      this.paused = true;
      wait(() => this.dispatchEvent(new Event('pause')), 2);
    }
  }

  /** So much of it sounds. */
  sound(seconds: number): void {
    this.at += seconds;
    this.dispatchEvent(new Event('timeupdate'));
  }

  canPlayType(mime: string): string {
    return mime === 'audio/x-strange' ? '' : 'probably';
  }
}

/** Every audio element, the oldest first. */
export const audios: FakeAudio[] = [];

interface Answer {
  status?: number;
  retryAfter?: number;
  body?: Partial<Stream>;
}

export const server = {
  isAway: false,
  /** The tracks that were asked for, in turn. */
  asked: [] as string[],
  answer: (_trackId: string): Answer | Promise<Answer> => ({}),
  media: (_address: string): boolean => !server.isAway,
};

const original: Partial<Stream> = {
  hls: null,
  files: [{ format: 'original', mime: 'audio/flac', bitrate: 0, bytes: 1, url: 'o' }],
  durationMs: 200_000,
};

async function respond(address: string): Promise<Response> {
  const trackId = /tracks\/(\w+)\/stream/.exec(address)?.[1];
  if (server.isAway) {
    throw new TypeError('Failed to fetch');
  }
  if (!trackId) {
    return new Response('{}', { status: 404 });
  }
  server.asked.push(trackId);
  const { status = 200, retryAfter, body } = await server.answer(trackId);
  const headers = new Headers({ 'Content-Type': 'application/json' });
  if (retryAfter) {
    headers.set('Retry-After', String(retryAfter));
  }
  const stream = { ...original, trackUrl: `m/${trackId}/original`, expiresAt: Date.now() + 3_600_000, ...body };
  return new Response(JSON.stringify(status === 200 ? stream : { status, detail: `Answer ${status}.` }), { status, headers });
}

const store = new Map<string, string>();
Object.assign(globalThis, {
  document: {
    baseURI: 'http://here/',
    createElement: () => {
      audios.push(new FakeAudio());
      return audios.at(-1);
    },
    body: { append() {} },
    addEventListener() {},
  },
  localStorage: {
    getItem: (key: string) => store.get(key) ?? null,
    setItem: (key: string, value: string) => store.set(key, value),
    removeItem: (key: string) => store.delete(key),
  },
  fetch: respond,
  setTimeout: (run: () => void, ms = 0) => wait(run, ms / FASTER),
});

/** Waits for what must come true. */
export async function until(isSo: () => boolean): Promise<void> {
  const end = Date.now() + 20_000;
  while (!isSo()) {
    if (Date.now() > end) {
      throw new Error(`never: ${isSo}`);
    }
    await settled(1);
  }
}

/** All that is under way and not slower than that has come about. */
export const settled = (ms = 20): Promise<void> => new Promise((resolve) => wait(resolve, ms));

export const track = (id: string): Track =>
  ({ id, title: `Track ${id}`, albumId: 'a', status: 'ready', durationMs: 200_000 }) as Track;
