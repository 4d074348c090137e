// How much of a track was heard: the sum of small steps of the position. A jump (seeking, waiting) is
// no hearing. Pure, so that it can be tested.
import type { Id } from '../types';

export interface Heard {
  trackId: Id;
  startedAt: number;
  playedMs: number;
}

/** The position is told some four times a second; a hidden tab's is told once. */
const STEP_MAX_S = 2.5;
/** Less than this is a slip of the finger. */
const HEARD_MIN_MS = 1000;

export class Meter {
  private current: (Heard & { position: number; duration: number }) | null = null;

  /** Tells where the sound is. Returns the play that ended with this, if any. */
  step(trackId: Id | null, position: number, duration: number, now: number): Heard | null {
    const current = this.current;
    const again = current && position < 1 && current.duration > 0 && current.position > current.duration - STEP_MAX_S;
    if (!current || current.trackId !== trackId || again) {
      const ended = this.end();
      this.current = trackId ? { trackId, startedAt: now, playedMs: 0, position, duration } : null;
      return ended;
    }
    const moved = position - current.position;
    if (moved > 0 && moved < STEP_MAX_S) {
      current.startedAt = current.playedMs > 0 ? current.startedAt : now; // it may have stood there for long, silent
      current.playedMs += moved * 1000;
    }
    current.position = position;
    current.duration = duration;
    return null;
  }

  /** Ends the play that goes on. */
  end(): Heard | null {
    const current = this.current;
    this.current = null;
    if (!current || current.playedMs < HEARD_MIN_MS) {
      return null;
    }
    const { trackId, startedAt, playedMs } = current;
    return { trackId, startedAt, playedMs: Math.round(playedMs) };
  }
}
