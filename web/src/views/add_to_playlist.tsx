// The menu of a track: into which playlist it goes.
import { useEffect, useState } from 'preact/hooks';
import { api } from '../api';
import { createOwnStore } from '../own_store';
import { useStore, whole } from '../store';
import { tell, tellError } from '../toasts';
import type { Page, Playlist, Track } from '../types';
import { Icon } from '../ui/icons';
import { Menu } from '../ui/menu';

export const playlists = createOwnStore<Playlist[] | null>(null);

async function allPlaylists(): Promise<Playlist[]> {
  const all: Playlist[] = [];
  for (let cursor: string | null | undefined; cursor !== null; ) {
    const page: Page<Playlist> = await api.playlists(cursor);
    all.push(...page.items);
    cursor = page.next;
  }
  return all;
}

export const loadPlaylists = (): Promise<void> => playlists.take(allPlaylists());

async function add(track: Track, playlist: Playlist): Promise<void> {
  await api.addToPlaylist(playlist.id, [track.id], crypto.randomUUID());
  tell(`Added to ${playlist.title}`);
  await loadPlaylists();
}

async function addToNew(track: Track): Promise<void> {
  const playlist = await api.createPlaylist(track.albumTitle, crypto.randomUUID());
  await add(track, playlist);
}

export function AddToPlaylist({ track }: { track: Track }) {
  const all = useStore(playlists, whole);
  const [wanted, setWanted] = useState(false);
  useEffect(() => {
    if (wanted && !all) {
      loadPlaylists().catch(tellError);
    }
  }, [wanted, all]);
  const own = (all ?? []).filter((playlist) => playlist.access !== 'view' && !playlist.smart);
  return (
    <span onPointerEnter={() => setWanted(true)} onFocusCapture={() => setWanted(true)}>
      <Menu
        label={`Add ${track.title} to a playlist`}
        class="row-menu"
        button={<Icon name="add" size={20} />}
        items={[
          ...own.map((playlist) => ({ label: playlist.title, onChoose: () => void add(track, playlist).catch(tellError) })),
          { label: 'New playlist', onChoose: () => void addToNew(track).catch(tellError) },
        ]}
      />
    </span>
  );
}
