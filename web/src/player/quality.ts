// Rungs by the names people know them by.

export type Choice = 'auto' | 96 | 160 | 320;
export const CHOICES: Choice[] = ['auto', 96, 160, 320];
const RUNGS = [96, 160, 320] as const;

/** The nominal rung of a measured bandwidth in bit/s: what a manifest tells is some per cent off. */
export function rungOf(bitsPerSecond: number): 96 | 160 | 320 {
  const distance = (rung: number) => Math.abs(Math.log(bitsPerSecond / (rung * 1000)));
  return [...RUNGS].sort((a, b) => distance(a) - distance(b))[0]!;
}

/** The level nearest to a rung, among levels' bandwidths in bit/s; -1 when there is none. */
export function levelFor(rung: number, bandwidths: number[]): number {
  let best = -1;
  let least = Infinity;
  bandwidths.forEach((bandwidth, level) => {
    const distance = Math.abs(Math.log(bandwidth / (rung * 1000)));
    if (distance < least) {
      least = distance;
      best = level;
    }
  });
  return best;
}

/** The exact end of a track, in seconds, for appendWindowEnd: up to the next microsecond. A track is
 * told as samples and rounded milliseconds; AAC rungs have one of two rates. */
export function exactEnd(samples: number, durationMs: number): number {
  const measured = (samples * 1000) / durationMs;
  const rate = Math.abs(measured - 44100) < Math.abs(measured - 48000) ? 44100 : 48000;
  return Math.ceil((samples * 1e6) / rate - 1e-6) / 1e6;
}
