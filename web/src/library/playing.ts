// Tells what plays here now, for the person's other devices and programs. It runs out by itself, so what could not be
// told is not told again.
import { api } from '../api';
import { currentTrack, player, positionNow } from '../player/player';

/** Who looks for a song skips through many. */
const REST_MS = 1000;

interface Playing {
  trackId: string;
  paused: boolean;
}

let told: Playing | null = null;
let timer: ReturnType<typeof setTimeout> | undefined;

/** A queue that was begun elsewhere is not playing here: null. */
function playingHere(): Playing | null {
  const trackId = currentTrack()?.id;
  const paused = !player.get().playing;
  return trackId && (!paused || trackId === told?.trackId) ? { trackId, paused } : null;
}

function tell(): void {
  const now = playingHere();
  if (now) {
    api.setPlaying(now.trackId, Math.round(positionNow() * 1000), now.paused).catch(() => {});
  }
  told = now;
}

export function startPlaying(): void {
  player.subscribe(() => {
    const now = playingHere();
    if (now?.trackId === told?.trackId && now?.paused === told?.paused) {
      clearTimeout(timer);
      timer = undefined;
    } else {
      timer ??= setTimeout(() => {
        timer = undefined;
        tell();
      }, REST_MS);
    }
  });
}
