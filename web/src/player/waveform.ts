// A track's peaks as the server keeps them, and the path that draws them.
//
//   offset  0  "TWF1"     4  sample rate     8  frames a peak     12  count of peaks (u32, little-endian)
//          16  one byte a peak: the largest magnitude, 0 … 255 for 0 … 1
import { bytes } from '../http';

const HEADER_BYTES = 16;
const KEPT_MAX = 20;

export const WAVE_WIDTH = 240;
export const WAVE_HEIGHT = 32;

/** The peaks, or null for what is no waveform. */
export function parseWaveform(data: Uint8Array): Uint8Array | null {
  const magic = String.fromCharCode(...data.subarray(0, 4));
  if (magic !== 'TWF1' || data.length <= HEADER_BYTES) {
    return null;
  }
  const count = new DataView(data.buffer, data.byteOffset).getUint32(12, true);
  return data.subarray(HEADER_BYTES, HEADER_BYTES + count);
}

/** A quiet track is drawn taller, but not like a loud one. */
const ZOOM_MAX = 3;

/** Bars two units apart, as high as the loudest peak of their stretch. */
export function wavePath(peaks: Uint8Array): string {
  const full = Math.max(255 / ZOOM_MAX, ...peaks);
  const bars = WAVE_WIDTH / 2;
  const middle = WAVE_HEIGHT / 2;
  let path = '';
  for (let bar = 0; bar < bars; bar += 1) {
    const from = Math.floor((bar * peaks.length) / bars);
    const to = Math.max(from + 1, Math.floor(((bar + 1) * peaks.length) / bars));
    const loudest = Math.max(...peaks.subarray(from, to), 0) / full;
    const half = Math.max(0.6, loudest * (middle - 1));
    path += `M${bar * 2 + 0.3} ${(middle - half).toFixed(1)}h1.4v${(2 * half).toFixed(1)}h-1.4z`;
  }
  return path;
}

const kept = new Map<string, Promise<string | null>>();

/** The path for a track, or null where the server has none. */
export function waveform(trackId: string): Promise<string | null> {
  let path = kept.get(trackId);
  if (!path) {
    path = bytes(`tracks/${trackId}/waveform`).then((data) => {
      const peaks = parseWaveform(data);
      return peaks && wavePath(peaks);
    });
    kept.set(trackId, path);
    path.catch(() => kept.delete(trackId));
    if (kept.size > KEPT_MAX) {
      kept.delete(kept.keys().next().value!);
    }
  }
  return path;
}
