// An album's tracks: number, title, state while the server works on it, length.
import type { ComponentChildren } from 'preact';
import { clock } from '../format';
import { currentTrack, expect, player, playTracks, toggle } from '../player/player';
import { useStore } from '../store';
import type { Id, Track } from '../types';
import { onIntent } from '../ui/hover';
import { Heart } from '../ui/heart';
import { Icon } from '../ui/icons';
import { AddToPlaylist } from './add_to_playlist';

/** How much of the work on its file is done. */
function percent({ progress }: Track): number {
  return progress.of > 0 ? Math.round((100 * progress.done) / progress.of) : 0;
}

function stateText(track: Track): string {
  switch (track.status) {
    case 'ready':
      return '';
    case 'failed':
      return track.failure?.reason ?? 'This file could not be prepared.';
    case 'processing':
      return `Preparing${track.progress.done > 0 ? ` ${percent(track)} %` : '…'}`;
    default:
      return 'Waiting its turn';
  }
}

function Bars({ moving }: { moving: boolean }) {
  return (
    <span class={`bars${moving ? ' moving' : ''}`} aria-hidden="true">
      <i />
      <i />
      <i />
    </span>
  );
}

interface RowProps {
  track: Track;
  position: number;
  /** Whose it is, where the list is not one artist's. */
  artist?: string;
  onPlay: () => void;
  /** More to do with it, at the row's end. */
  tools?: ComponentChildren;
}

function Row({ track, position, artist, onPlay, tools }: RowProps) {
  const isCurrent = useStore(player, () => currentTrack()?.id === track.id);
  const playing = useStore(player, (state) => isCurrent && state.playing);
  const ready = track.status === 'ready';
  const warm = () => ready && expect(track.id);
  const label = `${playing ? 'Pause' : 'Play'} ${track.title}`;
  return (
    <li class={`row ${track.status}${isCurrent ? ' current' : ''}`} {...onIntent(warm)}>
      <button
        class="row-play"
        disabled={!ready}
        aria-label={label}
        onClick={() => (isCurrent ? void toggle() : onPlay())}
      >
        <span class="row-number">{isCurrent ? <Bars moving={playing} /> : position}</span>
        <span class="row-icon">
          <Icon name={playing ? 'pause' : 'play'} size={20} />
        </span>
      </button>
      <div class="row-text" onClick={() => ready && !isCurrent && onPlay()}>
        <span class="row-title">
          {track.title}
          {track.explicit && (
            <abbr class="explicit" title="Explicit">
              E
            </abbr>
          )}
        </span>
        {artist && (
          <a class="row-artist" href={`artist/${track.artistId}`} onClick={(event) => event.stopPropagation()}>
            {artist}
          </a>
        )}
        {!ready && (
          <span class={`row-state ${track.status}`} role={track.status === 'failed' ? 'alert' : undefined}>
            {stateText(track)}
          </span>
        )}
      </div>
      {track.status === 'processing' && (
        <progress class="row-progress" max={100} {...(track.progress.done > 0 ? { value: percent(track) } : {})} aria-label={`Preparing ${track.title}`} />
      )}
      <span class="row-end">
        {tools}
        <AddToPlaylist track={track} />
        <Heart kind="track" id={track.id} title={track.title} />
        <span class="row-time">{track.durationMs ? clock(track.durationMs / 1000) : ''}</span>
      </span>
    </li>
  );
}

function discsOf(tracks: Track[]): [number, Track[]][] {
  const discs = new Map<number, Track[]>();
  for (const track of tracks) {
    const disc = track.discNumber;
    discs.set(disc, [...(discs.get(disc) ?? []), track]);
  }
  return [...discs];
}

interface TrackListProps {
  tracks: Track[];
  /** Their album's artist, who need not be named again. */
  artistName?: string;
  byAlbum?: boolean;
  tools?: (track: Track, index: number) => ComponentChildren;
  /** Of the rows, where a track may stand more than once: a row that moves stays the same. */
  ids?: Id[];
  /** In place of playing these alone. */
  onPlay?: (index: number) => void;
}

/** Of an album by its discs, else as they come. */
export function TrackList({ tracks, artistName, byAlbum = true, tools, ids, onPlay }: TrackListProps) {
  const play = onPlay ?? ((index: number) => void playTracks(tracks, index));
  const discs: [number, Track[]][] = byAlbum ? discsOf(tracks) : [[1, tracks]];
  return (
    <>
      {discs.map(([disc, list]) => (
        <section key={disc}>
          {discs.length > 1 && <h2 class="disc">Disc {disc}</h2>}
          <ol class="rows" aria-label={discs.length > 1 ? `Tracks of disc ${disc}` : 'Tracks'}>
            {list.map((track, i) => (
              <Row
                key={ids?.[i] ?? track.id}
                track={track}
                position={byAlbum ? track.trackNumber || i + 1 : i + 1}
                artist={track.credit === artistName ? undefined : track.credit}
                onPlay={() => play(tracks.indexOf(track))}
                tools={tools?.(track, i)}
              />
            ))}
          </ol>
        </section>
      ))}
    </>
  );
}
