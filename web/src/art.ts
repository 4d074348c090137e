// A cover for what has none: two colours out of the id, always the same for the same id.

/** FNV-1a, 32 bits. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let i = 0; i < text.length; i += 1) {
    value = Math.imul(value ^ text.charCodeAt(i), 0x01000193);
  }
  return value >>> 0;
}

export interface Gradient {
  from: string;
  to: string;
  angle: number;
}

const PAIRS: [string, string][] = [
  ['#f0794a', '#c2407c'],
  ['#5b7cfa', '#2b2d78'],
  ['#2fb5a0', '#1d4a6b'],
  ['#f3a34f', '#b5475b'],
  ['#8f6bf2', '#3c2a7d'],
  ['#e0638c', '#5d2a6e'],
  ['#4aa3d8', '#263d7a'],
  ['#6cb86a', '#1f5a56'],
  ['#d98a5f', '#6d3148'],
  ['#9d7bd8', '#c0507f'],
  ['#4fb0c6', '#3a5f8f'],
  ['#c9a24a', '#7a4a2c'],
  ['#e58fa3', '#7b4f92'],
  ['#7e93a8', '#343d54'],
];

export function gradientOf(id: string): Gradient {
  const h = hash(id);
  const [from, to] = PAIRS[(h >>> 5) % PAIRS.length]!;
  return { from, to, angle: 110 + ((h >>> 17) % 60) };
}

export function gradientCss(id: string): string {
  const { from, to, angle } = gradientOf(id);
  return `linear-gradient(${angle}deg, ${from}, ${to})`;
}

/** One or two letters to write on it. */
export function initials(text: string): string {
  const words = text.trim().split(/[\s_-]+/u).filter((word) => /[\p{L}\p{N}]/u.test(word));
  return words.slice(0, 2).map((word) => [...word].find((c) => /[\p{L}\p{N}]/u.test(c))!).join('').toUpperCase();
}
