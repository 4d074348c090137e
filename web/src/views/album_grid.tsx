// Albums as a grid of covers; each plays by its button and opens by its title.
import { api } from '../api';
import { year } from '../format';
import { expect, playTracks } from '../player/player';
import { onUserChange } from '../session';
import { tellError } from '../toasts';
import type { Album, Track } from '../types';
import { Cover } from '../ui/cover';
import { onIntent } from '../ui/hover';
import { Icon } from '../ui/icons';

/** Lists fetched on the pointer's way to the button, kept for the click. */
const lists = new Map<string, Promise<Track[]>>();
onUserChange(() => lists.clear());

function tracksOf(albumId: string): Promise<Track[]> {
  let list = lists.get(albumId);
  if (!list) {
    list = api.albumTracks(albumId).then((page) => page.items);
    lists.set(albumId, list);
    list.catch(() => {}).finally(() => setTimeout(() => lists.delete(albumId), 10_000));
  }
  return list;
}

async function warmUp(albumId: string): Promise<void> {
  const first = (await tracksOf(albumId)).find((track) => track.status === 'ready');
  if (first) {
    expect(first.id);
  }
}

function play(albumId: string): void {
  tracksOf(albumId).then((tracks) => playTracks(tracks), tellError);
}

interface CardProps {
  album: Album;
  byArtist: boolean;
  eager: boolean;
}

function AlbumCard({ album, byArtist, eager }: CardProps) {
  const released = year(album.releaseDate);
  const warm = () => void warmUp(album.id).catch(() => {});
  return (
    <li class="card">
      <div class="card-cover">
        <a href={`album/${album.id}`} tabIndex={-1} aria-hidden="true">
          <Cover id={album.id} artId={album.coverArtId} title={album.title} size={300} eager={eager} />
        </a>
        <button class="card-play" aria-label={`Play ${album.title}`} {...onIntent(warm)} onClick={() => play(album.id)}>
          <Icon name="play" />
        </button>
      </div>
      <a class="card-title" href={`album/${album.id}`}>
        {album.title}
      </a>
      <p class="card-note">
        {byArtist && <a href={`artist/${album.artistId}`}>{album.artistName}</a>}
        {!byArtist && (released || 'Album')}
      </p>
    </li>
  );
}

export function AlbumGrid({ albums, byArtist = true }: { albums: Album[]; byArtist?: boolean }) {
  return (
    <ul class="grid">
      {albums.map((album, i) => (
        <AlbumCard key={album.id} album={album} byArtist={byArtist} eager={i < 8} />
      ))}
    </ul>
  );
}

/** The grid's shape while it loads, so that nothing jumps. */
export function GridSkeleton() {
  return (
    <ul class="grid" aria-busy="true" aria-label="Loading albums">
      {Array.from({ length: 12 }, (_, i) => (
        <li class="card" key={i}>
          <span class="cover skeleton" />
          <span class="line skeleton" />
          <span class="line short skeleton" />
        </li>
      ))}
    </ul>
  );
}
