// What somebody keeps: playlists and favourites.
import { useEffect, useState } from 'preact/hooks';
import { api } from '../api';
import { marks } from '../library/marks';
import { go } from '../router';
import { useStore, whole } from '../store';
import { tellError } from '../toasts';
import type { ImportedPlaylist, Page, Track } from '../types';
import { Mosaic } from '../ui/mosaic';
import { More } from '../ui/more';
import { useResource } from '../ui/resource';
import { Empty, Failed } from '../ui/states';
import { TitleForm } from '../ui/title_form';
import { loadPlaylists, playlists } from './add_to_playlist';
import { ImportPlaylist, Imported } from './import_playlist';
import { size } from './playlist';
import { TrackList } from './track_list';

function Playlists() {
  const all = useStore(playlists, whole);
  useEffect(() => {
    loadPlaylists().catch(tellError);
  }, []);
  return (
    <ul class="playlists" aria-label="Playlists">
      {(all ?? []).map((playlist) => (
        <li key={playlist.id}>
          <a href={`playlist/${playlist.id}`}>
            <Mosaic id={playlist.id} title={playlist.title} />
            <strong>{playlist.title}</strong>
            <small>
              {size(playlist)}
              {playlist.access !== 'owner' && ' · with others'}
              {playlist.shared && ' · shared'}
            </small>
          </a>
        </li>
      ))}
    </ul>
  );
}

async function loadFavourites(cursor?: string): Promise<Page<Track>> {
  const page = await api.favouriteTracks(cursor);
  return { items: page.items.flatMap(({ track }) => (track ? [track] : [])), next: page.next };
}

function Favourites() {
  const held = useStore(marks, whole);
  const list = useResource('favourites', () => loadFavourites());
  const show = (tracks: Track[]) => {
    const shown = tracks.filter((track) => held.get(`favourite:track:${track.id}`));
    return shown.length > 0 ? (
      <TrackList tracks={shown} byAlbum={false} />
    ) : (
      <Empty title="No favourites yet">
        <p>The heart beside a track keeps it here, on every device.</p>
      </Empty>
    );
  };
  if (list.kind !== 'there') {
    return list.kind === 'failed' ? <Failed {...list} /> : <p aria-busy="true" />;
  }
  return (
    <More first={list.value} load={loadFavourites}>
      {show}
    </More>
  );
}

async function create(title: string): Promise<void> {
  const { id } = await api.createPlaylist(title, crypto.randomUUID());
  playlists.set(null);
  go(`/playlist/${id}`);
}

export function LibraryPage() {
  const all = useStore(playlists, whole);
  const [naming, setNaming] = useState(false);
  const [imported, setImported] = useState<ImportedPlaylist | null>(null);
  return (
    <main>
      <div class="title-row">
        <h1 class="page-title">Playlists</h1>
        <div class="hero-actions">
          <button class="button" onClick={() => setNaming(true)}>
            New playlist
          </button>
          <ImportPlaylist onImported={setImported} />
        </div>
      </div>
      {naming && <TitleForm label="Name of the new playlist" value="" button="Create" onSave={create} onCancel={() => setNaming(false)} />}
      {imported && <Imported answer={imported} />}
      <Playlists />
      {all?.length === 0 && <p class="hint">None yet. The + beside a track puts it into one.</p>}
      <h1 class="page-title">Favourites</h1>
      <Favourites />
    </main>
  );
}
