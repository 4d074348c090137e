// What was found as a list to choose from: groups of choices, numbered through.
import type { Found } from '../types';

export interface Choice {
  kind: 'track' | 'album' | 'artist' | 'playlist';
  id: string;
  title: string;
  note: string;
  artId: string | null;
  /** Of whom the cover's colours are. */
  coverId: string;
  path: string;
}

export interface Group {
  title: string;
  /** The number of its first choice. */
  first: number;
  choices: Choice[];
}

function choicesOf(found: Found): [string, Choice[]][] {
  const artists = found.artists.map((artist): Choice => ({
    kind: 'artist', id: artist.id, title: artist.name, note: 'Artist', artId: artist.imageArtId, coverId: artist.id,
    path: `/artist/${artist.id}`,
  }));
  const albums = found.albums.map((album): Choice => ({
    kind: 'album', id: album.id, title: album.title, note: album.artistName, artId: album.coverArtId, coverId: album.id,
    path: `/album/${album.id}`,
  }));
  const tracks = found.tracks.map((track): Choice => ({
    kind: 'track', id: track.id, title: track.title, note: `${track.artistName} · ${track.albumTitle}`,
    artId: track.coverArtId, coverId: track.albumId, path: `/album/${track.albumId}`,
  }));
  const playlists = found.playlists.map(({ id, title, access }): Choice => ({
    kind: 'playlist', id, title, note: access === 'owner' ? 'Playlist' : 'Playlist, with others', artId: null, coverId: id,
    path: `/playlist/${id}`,
  }));
  return [['Songs', tracks], ['Artists', artists], ['Albums', albums], ['Playlists', playlists]];
}

export function groupsOf(found: Found): Group[] {
  const groups: Group[] = [];
  let first = 0;
  for (const [title, choices] of choicesOf(found)) {
    if (choices.length > 0) {
      groups.push({ title, first, choices });
      first += choices.length;
    }
  }
  return groups;
}

/** The choice a step away, going round; from none it is the first or the last. */
export function stepped(active: number, step: 1 | -1, count: number): number {
  if (count === 0) {
    return -1;
  }
  return active < 0 ? (step > 0 ? 0 : count - 1) : (active + step + count) % count;
}
