// An album's page. While the server works on its tracks it watches them.
import { useEffect, useState } from 'preact/hooks';
import { api } from '../api';
import { plural, span, year } from '../format';
import { currentTrack, expect, growQueue, player, playTracks, toggle } from '../player/player';
import { useStore } from '../store';
import type { Album, Track } from '../types';
import { isSettled, watchAlbum } from '../upload/watch';
import { Cover } from '../ui/cover';
import { Heart } from '../ui/heart';
import { Icon } from '../ui/icons';
import { useResource } from '../ui/resource';
import { Stars } from '../ui/stars';
import { Empty, Failed } from '../ui/states';
import { TrackList } from './track_list';

async function load(id: string) {
  const [album, tracks] = await Promise.all([api.album(id), api.albumTracks(id)]);
  return { album, tracks: tracks.items };
}

/** How often to look for a cover that is being scaled. */
const COVER_MS = 1500;

const KINDS: Record<string, string> = { single: 'Single', ep: 'EP', compilation: 'Compilation' };

function note(album: Album, tracks: Track[]): string {
  const length = tracks.reduce((sum, track) => sum + track.durationMs, 0);
  return [year(album.releaseDate), plural(tracks.length, 'track'), length > 0 ? span(length) : '']
    .filter(Boolean)
    .join(' · ');
}

function PlayButton({ tracks }: { tracks: Track[] }) {
  const isHere = useStore(player, () => tracks.some((track) => track.id === currentTrack()?.id));
  const playing = useStore(player, (state) => isHere && state.playing);
  const ready = tracks.some((track) => track.status === 'ready');
  return (
    <button
      class="button primary play"
      disabled={!ready}
      onClick={() => void (isHere ? toggle() : playTracks(tracks))}
    >
      <Icon name={playing ? 'pause' : 'play'} size={20} />
      {playing ? 'Pause' : 'Play'}
    </button>
  );
}

function Header({ album, tracks }: { album: Album; tracks: Track[] }) {
  const working = tracks.filter((track) => !isSettled(track)).length;
  return (
    <section class="hero">
      <div class="hero-cover">
        <Cover id={album.id} artId={album.coverArtId} title={album.title} size={300} eager />
      </div>
      <div class="hero-text">
        <p class="kind">
          {KINDS[album.type] ?? 'Album'}
          {album.status === 'draft' && <span class="badge">Draft</span>}
        </p>
        <h1>{album.title}</h1>
        <p class="hero-note">
          <a href={`artist/${album.artistId}`}>{album.artistName}</a>
          {' · '}
          {note(album, tracks)}
        </p>
        <div class="hero-actions">
          <PlayButton tracks={tracks} />
          <Heart kind="album" id={album.id} title={album.title} />
          <Stars kind="album" id={album.id} title={album.title} />
          <span class="hero-state" role="status">
            {working > 0 ? `${plural(working, 'track')} being prepared` : ''}
          </span>
        </div>
      </div>
    </section>
  );
}

function Skeleton() {
  return (
    <main aria-busy="true">
      <section class="hero">
        <div class="hero-cover">
          <span class="cover skeleton" />
        </div>
        <div class="hero-text">
          <span class="line skeleton" />
          <span class="line short skeleton" />
        </div>
      </section>
    </main>
  );
}

/** The album as it changes while the server works on its tracks and its cover. */
function useLatest(loaded: { album: Album; tracks: Track[] } | null) {
  const [album, setAlbum] = useState<Album | null>(null);
  const [watched, setWatched] = useState<{ albumId: string; tracks: Track[] } | null>(null);

  useEffect(() => {
    if (!loaded) {
      return undefined;
    }
    const first = loaded.tracks.find((track) => track.status === 'ready');
    if (first) {
      expect(first.id);
    }
    const albumId = loaded.album.id;
    const seen = (tracks: Track[]) => {
      setWatched({ albumId, tracks });
      growQueue(tracks);
    };
    return loaded.tracks.every(isSettled) ? undefined : watchAlbum(albumId, seen);
  }, [loaded]);

  const isSame = (albumId?: string) => albumId === loaded?.album.id;
  const latest = isSame(album?.id) ? album : null;
  const tracks = isSame(watched?.albumId) ? watched?.tracks : null;
  const pending = (latest ?? loaded?.album)?.coverPending ?? false;
  useEffect(() => {
    if (!pending || !loaded) {
      return undefined;
    }
    const timer = setInterval(() => api.album(loaded.album.id).then(setAlbum, () => {}), COVER_MS);
    return () => clearInterval(timer);
  }, [pending, loaded]);

  return loaded && { album: latest ?? loaded.album, tracks: tracks ?? loaded.tracks };
}

export function AlbumPage({ id }: { id: string }) {
  const page = useResource(`album-${id}`, () => load(id));
  const latest = useLatest(page.kind === 'there' ? page.value : null);

  if (page.kind === 'failed') {
    return (
      <main>
        <Failed {...page} />
      </main>
    );
  }
  if (!latest) {
    return <Skeleton />;
  }
  const { album, tracks } = latest;
  return (
    <main>
      <Header album={album} tracks={tracks} />
      {tracks.length > 0 ? (
        <TrackList tracks={tracks} artistName={album.artistName} />
      ) : (
        <Empty title="No tracks yet">
          <p>They appear here as they are uploaded.</p>
        </Empty>
      )}
    </main>
  );
}
