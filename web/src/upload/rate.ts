// How fast it goes, and how long it will take: an average over the last seconds.

interface Sample {
  at: number;
  bytes: number;
}

const WINDOW_MS = 8000;

export class Rate {
  private samples: Sample[] = [];

  add(bytes: number, at: number): void {
    this.samples.push({ at, bytes });
    while (this.samples.length > 2 && at - this.samples[0]!.at > WINDOW_MS) {
      this.samples.shift();
    }
  }

  /** Bytes a second; 0 while it can't be told. */
  get perSecond(): number {
    const first = this.samples[0];
    const last = this.samples.at(-1);
    if (!first || !last || last.at - first.at < 500) {
      return 0;
    }
    return Math.max(0, ((last.bytes - first.bytes) * 1000) / (last.at - first.at));
  }
}

/** "about 3 min left"; nothing while it can't be told. */
export function timeLeft(bytes: number, perSecond: number): string {
  if (perSecond <= 0 || bytes <= 0) {
    return '';
  }
  const seconds = Math.ceil(bytes / perSecond);
  return seconds < 90 ? `about ${seconds} s left` : `about ${Math.round(seconds / 60)} min left`;
}
