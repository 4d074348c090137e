// The system's media controls: keys, headphones, lock screens (W3C Media Session).
import { api } from '../api';
import { currentTrack, pausePlay, player, positionNow, resumePlay, seek, seekBy, skip } from './player';

const SIZES = [128, 300, 600] as const;

function showTrack(): void {
  const track = currentTrack();
  navigator.mediaSession.metadata = track
    ? new MediaMetadata({
        title: track.title,
        artist: track.artistName,
        album: track.albumTitle,
        artwork: track.coverArtId
          ? SIZES.map((size) => ({ src: api.artUrl(track.coverArtId!, size), sizes: `${size}x${size}` }))
          : [],
      })
    : null;
}

function showPosition(): void {
  const { duration } = player.get();
  if (duration > 0) {
    navigator.mediaSession.setPositionState?.({ duration, position: Math.min(positionNow(), duration) });
  }
}

export function startMediaSession(): void {
  if (!('mediaSession' in navigator)) {
    return;
  }
  const on = (action: MediaSessionAction, run: MediaSessionActionHandler) => {
    try {
      navigator.mediaSession.setActionHandler(action, run);
    } catch {
      // A browser that doesn't know this action does without it.
    }
  };
  on('play', resumePlay);
  on('pause', pausePlay);
  on('stop', pausePlay);
  on('nexttrack', () => void skip(1));
  on('previoustrack', () => void skip(-1));
  on('seekbackward', ({ seekOffset }) => seekBy(-(seekOffset ?? 10)));
  on('seekforward', ({ seekOffset }) => seekBy(seekOffset ?? 10));
  on('seekto', ({ seekTime }) => seek(seekTime ?? 0));

  let shown = currentTrack();
  let second = -1;
  player.subscribe(() => {
    const { playing, position } = player.get();
    navigator.mediaSession.playbackState = playing ? 'playing' : 'paused';
    if (currentTrack()?.id !== shown?.id) {
      shown = currentTrack();
      showTrack();
    }
    if (Math.floor(position) !== second) {
      second = Math.floor(position);
      showPosition();
    }
  });
}
