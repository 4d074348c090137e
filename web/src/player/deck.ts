// One audio element and what feeds it. The player has two: while one plays, the other holds the start
// of what comes next.
import { backoff, pause } from '../backoff';
import { isPassing } from '../problem';
import { openFeed, type Feed, type OpenFeed } from './feed';
import type { Choice } from './quality';
import { forgetSource, isBeingMade, source, Unplayable } from './sources';
import type { Stream } from '../types';

export interface DeckEvents {
  time(): void;
  state(): void;
  /** Not by us: headphones pulled, a call. */
  paused(): void;
  ended(): void;
  rung(): void;
  /** There is no sound until the server is there again, which is waited for. */
  lost(): void;
  failed(error: unknown): void;
}

/** In a row, without sound between them. */
const RECOVERIES_MAX = 4;
/** So much sound after a failure, and it is over. */
const STEADY_S = 5;
/** How often renditions that are being made are asked for. */
const MAKING_MS = 1500;
/** Asked so often in all: five minutes for a rendition, the better part of an hour for a server. */
const TRIES_MAX = 200;
/** Within this an element has at least begun to load. */
const BEGUN_MS = 400;
const NOT_LOADED = 'The sound could not be loaded.';

export class Deck {
  readonly audio = document.createElement('audio');
  trackId: string | null = null;
  /** kbit/s of what sounds, or is about to; 0 while nothing is there. */
  rung = 0;
  private loading: Promise<void> = Promise.resolve();
  /** The element has let go of what it held: a new source set before that may never begin to load. */
  private emptied: Promise<void> = Promise.resolve();
  private feed: Feed | null = null;
  /** Raised by every load and unload: what was begun in an earlier turn has no say any more, also where it was for the same
   * track. */
  private turn = 0;
  /** Where it will stand, until the element does: it is at 0 while it is given its source. */
  private place = 0;
  private standing = false;
  /** Sound was asked for, and nobody has stopped it. */
  private wanted = false;
  private reloading = false;
  private recoveries = 0;
  private recoveredAt = 0;
  private choice: Choice = 'auto';

  constructor(
    private readonly events: DeckEvents,
    private readonly open: OpenFeed = openFeed,
  ) {
    this.audio.preload = 'auto';
    for (const name of ['timeupdate', 'durationchange']) {
      this.audio.addEventListener(name, () => this.onTime());
    }
    for (const name of ['play', 'pause', 'playing', 'waiting', 'seeking', 'seeked', 'canplay']) {
      this.audio.addEventListener(name, () => this.onState());
    }
    this.audio.addEventListener('ended', () => events.ended());
    this.audio.addEventListener('error', () => this.feed && this.audio.error && void this.recover(new Error(NOT_LOADED)));
    document.body.append(this.audio);
  }

  /** Where the sound is, or will begin. */
  get position(): number {
    return this.standing ? this.audio.currentTime : this.place;
  }

  get isSilent(): boolean {
    const { error, paused, readyState } = this.audio;
    return !this.standing || readyState < 3 || paused || error !== null;
  }

  private onTime(): void {
    this.checkStanding();
    if (this.standing && !this.audio.paused && this.audio.currentTime > this.recoveredAt + STEADY_S) {
      this.recoveries = 0;
    }
    this.events.time();
  }

  private onState(): void {
    this.checkStanding();
    if (this.standing && this.wanted && this.audio.paused && !this.audio.ended) {
      this.wanted = false;
      this.events.paused();
    }
    this.events.state();
  }

  private checkStanding(): void {
    this.standing ||= this.feed !== null && this.audio.readyState >= 2 && !this.audio.seeking;
  }

  /** Gets a track ready to play from its beginning, or from `startAt` seconds: its first fragment is
   * decoded, so that play() sounds at once. Calling it again for the same track changes nothing. */
  load(trackId: string, startAt = 0): Promise<void> {
    if (this.trackId !== trackId) {
      this.unload();
      this.trackId = trackId;
      this.place = startAt;
      this.loading = this.fetchAndAttach(trackId, this.turn);
    }
    return this.loading;
  }

  private async fetchAndAttach(trackId: string, turn: number): Promise<void> {
    try {
      const stream = await this.playable(trackId, turn);
      await this.attach(stream, turn);
    } catch (error) {
      if (turn === this.turn) {
        this.unload();
        throw error;
      }
    }
  }

  /** A track's source, asked for until it is there; null when another turn began. An imported track has only its original at
   * first, which plays where the browser can and the person may hear it; by asking, the renditions that any browser plays
   * are on their way. */
  private async playable(trackId: string, turn: number): Promise<Stream | null> {
    for (let tries = 1; turn === this.turn; tries += 1) {
      let wait = MAKING_MS;
      const stream = await source(trackId).catch((error: unknown) => {
        wait = this.waitAfter(error, tries);
        return null;
      });
      if (stream && (stream.hls || this.canPlayOriginal(stream))) {
        return stream;
      }
      if (tries === TRIES_MAX) {
        throw new Unplayable('The track can’t be played by this browser');
      }
      await pause(wait);
    }
    return null;
  }

  /** Milliseconds until the source is asked for again, unless the answer is final. */
  private waitAfter(error: unknown, tries: number): number {
    if (tries === TRIES_MAX || !(isBeingMade(error) || isPassing(error))) {
      throw error;
    }
    if (isBeingMade(error)) {
      return MAKING_MS;
    }
    if (this.isSilent) {
      this.events.lost();
    }
    return backoff(tries);
  }

  private canPlayOriginal(stream: Stream): boolean {
    const mime = stream.files.find((f) => f.format === 'original')?.mime;
    return mime !== undefined && this.audio.canPlayType(mime) !== '';
  }

  private async attach(stream: Stream | null, turn: number): Promise<void> {
    await this.emptied;
    if (!stream || turn !== this.turn) {
      return;
    }
    this.feed = this.open(this.audio, stream, this.choice, () => this.place, {
      rung: (rung) => {
        this.rung = rung;
        this.events.rung();
      },
      failed: (error) => void this.recover(error),
    });
  }

  /** URLs run out, connections break: go on at the same place, a few times. */
  private async recover(error: unknown): Promise<void> {
    if (!this.trackId || this.reloading) {
      return;
    }
    if (this.recoveries === RECOVERIES_MAX) {
      this.events.failed(error);
      return;
    }
    this.recoveries += 1;
    this.recoveredAt = this.position;
    this.events.state();
    await this.reload(this.trackId, () => this.audio.error === null && (this.feed?.resume() ?? false));
  }

  /** Asks for everything anew and goes on at the same place. What is buffered sounds meanwhile, and afterwards too where
   * the feed could `resume`. */
  private async reload(trackId: string, resume = () => false): Promise<void> {
    const { turn, recoveries } = this;
    this.reloading = true;
    try {
      await (recoveries > 1 ? pause(backoff(recoveries)) : undefined);
      forgetSource(trackId);
      const stream = await this.playable(trackId, turn);
      if (turn === this.turn && !resume()) {
        this.close();
        await this.attach(stream, turn);
      }
      if (turn === this.turn) {
        this.reloading = false;
        await (this.wanted ? this.play() : undefined);
      }
    } catch (error) {
      if (turn === this.turn) {
        this.events.failed(error);
      }
    }
  }

  setChoice(choice: Choice): void {
    this.choice = choice;
    const isThere = this.feed?.choose(choice) ?? true;
    if (!isThere && this.trackId && !this.reloading) {
      void this.reload(this.trackId); // the ladder was not whole when it was loaded; it may be now
    }
  }

  async play(): Promise<void> {
    const { turn } = this;
    this.wanted = true;
    this.feed?.hurry();
    const watch = setTimeout(() => this.checkBegun(turn), BEGUN_MS);
    try {
      await this.audio.play();
    } catch (error) {
      // A newer load or pause took over, or the source failed, which is seen to: that is no failure.
      if (!this.audio.error && !(error instanceof DOMException && error.name === 'AbortError')) {
        throw error;
      }
    } finally {
      clearTimeout(watch);
    }
  }

  /** An element that has a source and yet does not begin to load it is given it again. A slow line looks
   * otherwise: the element is loading then. */
  private checkBegun(turn: number): void {
    const { networkState, NETWORK_NO_SOURCE, error } = this.audio;
    if (turn === this.turn && networkState === NETWORK_NO_SOURCE && !error) {
      void this.recover(new Error(NOT_LOADED));
    }
  }

  seek(seconds: number): void {
    this.place = seconds;
    if (this.feed && this.audio.currentTime !== seconds) {
      this.audio.currentTime = seconds;
    }
  }

  pause(): void {
    this.wanted = false;
    this.audio.pause();
  }

  unload(): void {
    this.turn += 1;
    this.trackId = null;
    this.rung = 0;
    this.wanted = false;
    this.reloading = false;
    this.recoveries = 0;
    this.recoveredAt = 0;
    this.close();
    this.place = 0;
  }

  private close(): void {
    this.place = this.position;
    this.standing = false;
    if (this.feed) {
      this.feed.close();
      this.feed = null;
      this.emptied = pause(0);
    }
  }
}
