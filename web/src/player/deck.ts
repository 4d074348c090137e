// One audio element and the hls.js that feeds it. The player has two: while one plays, the other
// holds the start of what comes next.
import Hls, { type ErrorData, type HlsConfig } from 'hls.js/light';
import { pause } from '../backoff';
import { Problem } from '../problem';
import { exactEnd, levelFor, rungOf, type Choice } from './quality';
import { forgetSource, source, START_RUNG } from './sources';
import { WarmLoader } from './warm_loader';
import type { Stream } from '../types';

export interface DeckEvents {
  time(): void;
  state(): void;
  ended(): void;
  rung(): void;
  failed(error: unknown): void;
}

const config: Partial<HlsConfig> = {
  loader: WarmLoader,
  autoStartLoad: false,
  enableWorker: false, // fragments pass through unchanged: a worker would only cost its start
  lowLatencyMode: false,
  startFragPrefetch: true,
  testBandwidth: false,
  abrEwmaDefaultEstimate: 2_000_000,
  maxBufferLength: 3, // until it plays: one fragment
  maxMaxBufferLength: 60,
  backBufferLength: 30,
};

const RECOVERIES_MAX = 3;
/** How often, and for how long in all, renditions that are being made are asked for. */
const MAKING_MS = 1500;
const MAKING_TRIES = 200;
/** Within this an element has at least begun to load. */
const BEGUN_MS = 400;
/** Buffered ahead while it plays. */
const AHEAD_S = 24;

/** Nothing that this person may hear is there yet, but it will be. */
const isBeingMade = (error: unknown) => error instanceof Problem && error.status === 409 && error.retryAfter > 0;

/** hls.js would try other rungs first: their addresses have run out too. */
const isExpired = (data: ErrorData) => data.response?.code === 403;

export class Deck {
  readonly audio = document.createElement('audio');
  trackId: string | null = null;
  /** kbit/s of what sounds, or is about to; 0 while nothing is there. */
  rung = 0;
  private loading: Promise<void> = Promise.resolve();
  /** The element has let go of what it held: a new source set before that may never begin to load. */
  private emptied: Promise<void> = Promise.resolve();
  private hls: Hls | null = null;
  private recoveries = 0;
  private choice: Choice = 'auto';

  constructor(private readonly events: DeckEvents) {
    this.audio.preload = 'auto';
    this.audio.addEventListener('timeupdate', () => events.time());
    this.audio.addEventListener('durationchange', () => events.time());
    for (const name of ['play', 'pause', 'playing', 'waiting', 'seeking', 'seeked']) {
      this.audio.addEventListener(name, () => events.state());
    }
    this.audio.addEventListener('ended', () => events.ended());
    document.body.append(this.audio);
  }

  /** Gets a track ready to play from its beginning, or from `startAt` seconds: its first fragment is
   * decoded, so that play() sounds at once. Calling it again for the same track changes nothing. */
  load(trackId: string, startAt = 0): Promise<void> {
    if (this.trackId !== trackId) {
      this.unload();
      this.trackId = trackId;
      this.loading = this.fetchAndAttach(trackId, startAt);
    }
    return this.loading;
  }

  private async fetchAndAttach(trackId: string, startAt: number): Promise<void> {
    try {
      const [stream] = await Promise.all([this.playable(trackId), this.emptied]);
      if (stream && this.trackId === trackId) {
        this.attach(stream, startAt);
      }
    } catch (error) {
      this.trackId = this.trackId === trackId ? null : this.trackId;
      throw error;
    }
  }

  /** An imported track has only its original at first, which plays where the browser can and the person
   * may hear it; by asking, the renditions that any browser plays are on their way. */
  private async playable(trackId: string): Promise<Stream | null> {
    for (let tries = 0; this.trackId === trackId; tries += 1) {
      const stream = await source(trackId).catch((error: unknown) => {
        if (!isBeingMade(error) || tries === MAKING_TRIES) {
          throw error;
        }
        return null;
      });
      if (stream && (stream.hls || this.canPlayOriginal(stream))) {
        return stream;
      }
      if (tries === MAKING_TRIES) {
        throw new Error('The track can’t be played by this browser');
      }
      await pause(MAKING_MS);
    }
    return null;
  }

  private canPlayOriginal(stream: Stream): boolean {
    const mime = stream.files.find((f) => f.format === 'original')?.mime;
    return mime !== undefined && this.audio.canPlayType(mime) !== '';
  }

  private attach(stream: Stream, startAt: number): void {
    if (!stream.hls) {
      this.audio.src = `${new URL(stream.trackUrl, document.baseURI).href}#t=${startAt}`;
      return;
    }
    const manifest = new URL(stream.hls, document.baseURI).href;
    if (!Hls.isSupported()) {
      this.audio.src = `${manifest}#t=${startAt}`; // an iPhone plays HLS by itself
      return;
    }
    const hls = new Hls(config);
    this.hls = hls;
    hls.on(Hls.Events.MANIFEST_PARSED, () => {
      hls.startLevel = levelFor(this.choice === 'auto' ? START_RUNG : this.choice, this.bandwidths());
      this.applyChoice();
      hls.startLoad(startAt);
    });
    hls.on(Hls.Events.BUFFER_CREATED, (_, { tracks }) => {
      const buffer = tracks.audio?.buffer;
      if (buffer) {
        buffer.appendWindowEnd = this.endOf(stream);
      }
    });
    hls.on(Hls.Events.FRAG_CHANGED, (_, { frag }) => {
      const level = hls.levels[frag.level];
      if (level) {
        this.rung = rungOf(level.averageBitrate || level.bitrate);
        this.events.rung();
      }
    });
    hls.on(Hls.Events.ERROR, (_, data) => (data.fatal || isExpired(data)) && this.recover(data));
    hls.attachMedia(this.audio);
    hls.loadSource(manifest);
  }

  /** Without this the encoder's padding, up to 23 ms, would sound after the last sample. */
  private endOf(stream: Stream): number {
    const file = stream.files.find((f) => f.format === 'aac' && f.samples);
    return file?.samples ? exactEnd(file.samples, stream.durationMs) : Infinity;
  }

  private bandwidths(): number[] {
    return this.hls?.levels.map((level) => level.averageBitrate || level.bitrate) ?? [];
  }

  /** URLs run out, connections break: go on at the same place, a few times. */
  private recover(data: ErrorData): void {
    const { trackId } = this;
    this.recoveries += 1;
    if (!trackId || this.recoveries > RECOVERIES_MAX) {
      this.events.failed(data.error);
    } else if (data.type === Hls.ErrorTypes.MEDIA_ERROR) {
      this.hls?.recoverMediaError();
    } else {
      this.reload(trackId);
    }
  }

  /** Asks for everything anew and goes on at the same place. */
  private reload(trackId: string): void {
    const { currentTime, paused } = this.audio;
    forgetSource(trackId);
    this.unload();
    this.load(trackId, currentTime).then(
      () => (paused ? undefined : this.play()),
      (error) => this.events.failed(error),
    );
  }

  setChoice(choice: Choice): void {
    this.choice = choice;
    const rungs = this.bandwidths().map(rungOf);
    if (this.trackId && choice !== 'auto' && rungs.length > 0 && !rungs.includes(choice)) {
      this.reload(this.trackId); // the ladder was not whole when it was loaded; it may be now
    } else {
      this.applyChoice();
    }
  }

  private applyChoice(): void {
    if (!this.hls || this.hls.levels.length === 0) {
      return;
    }
    const wanted = this.choice === 'auto' ? -1 : levelFor(this.choice, this.bandwidths());
    if (this.hls.nextLevel !== wanted) {
      this.hls.nextLevel = wanted;
    }
  }

  async play(): Promise<void> {
    if (this.hls) {
      this.hls.config.maxBufferLength = AHEAD_S;
    }
    const watch = setTimeout(() => this.checkBegun(this.trackId), BEGUN_MS);
    try {
      await this.audio.play();
      this.recoveries = 0;
    } catch (error) {
      // A newer load or pause took over: that is no failure.
      if (!(error instanceof DOMException && error.name === 'AbortError')) {
        throw error;
      }
    } finally {
      clearTimeout(watch);
    }
  }

  /** An element that has a source and yet does not begin to load it is given it again. A slow line looks
   * otherwise: the element is loading then. */
  private checkBegun(trackId: string | null): void {
    const { networkState, NETWORK_NO_SOURCE, error } = this.audio;
    if (trackId && this.trackId === trackId && networkState === NETWORK_NO_SOURCE && !error) {
      this.recoveries += 1;
      if (this.recoveries <= RECOVERIES_MAX) {
        this.reload(trackId);
      }
    }
  }

  standAt(seconds: number): void {
    if (this.audio.currentTime !== seconds) {
      this.audio.currentTime = seconds;
    }
  }

  pause(): void {
    this.audio.pause();
  }

  unload(): void {
    this.trackId = null;
    this.rung = 0;
    if (this.hls) {
      this.hls.destroy();
      this.hls = null;
      this.emptied = pause(0);
    }
  }
}
