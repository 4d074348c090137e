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

export function gradientOf(id: string): Gradient {
  const h = hash(id);
  const hue = h % 360;
  const step = 35 + ((h >>> 9) % 50);
  return {
    from: `hsl(${hue} 52% 56%)`,
    to: `hsl(${(hue + step) % 360} 58% 34%)`,
    angle: 115 + ((h >>> 17) % 50),
  };
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
