// The API's words, as docs/api/openapi.yaml has them; only what the app reads.

export type Id = string;
export type Role = 'listener' | 'artist' | 'admin';

export interface User {
  id: Id;
  username: string;
  email?: string | null;
  roles: Role[];
}

export interface Session {
  user?: User;
  accessToken: string;
  expiresIn: number;
}

export interface Page<T> {
  items: T[];
  next: string | null;
}

export interface Artist {
  id: Id;
  ownerId: Id;
  /** Nobody made the page: an admin may give it to somebody. */
  imported: boolean;
  name: string;
  bio: string;
  imageArtId: Id | null;
  /** What it stands under; null where it is not in the index. */
  indexLetter: string | null;
}

export interface Letter {
  letter: string;
  artists: number;
  /** Of the list of artists, where the letter begins. */
  cursor: string;
}

export interface Genre {
  id: string;
  name: string;
  albumCount: number;
}

export interface Album {
  id: Id;
  title: string;
  artistId: Id;
  artistName: string;
  releaseDate: string | null;
  type: 'album' | 'single' | 'ep' | 'compilation';
  genres: string[];
  status: 'published' | 'draft' | 'empty';
  coverArtId: Id | null;
  /** A new cover is being scaled. */
  coverPending: boolean;
  trackCount: number;
  durationMs: number;
}

export type TrackStatus = 'created' | 'uploaded' | 'processing' | 'ready' | 'failed';

export interface Track {
  id: Id;
  title: string;
  albumId: Id;
  artistId: Id;
  albumTitle: string;
  artistName: string;
  /** All its artists, as the release names them. */
  credit: string;
  coverArtId: Id | null;
  status: TrackStatus;
  failure?: { code: string; reason: string };
  /** Renditions that are done, of how many. */
  progress: { done: number; of: number };
  durationMs: number;
  trackNumber: number;
  discNumber: number;
  explicit: boolean;
}

export interface MarkChange {
  what: 'favourite' | 'rating' | 'follow';
  kind: 'track' | 'album' | 'artist';
  id: Id;
  /** 0: taken away. */
  value: number;
  at: number;
  device: string;
}

export interface Changes {
  items: MarkChange[];
  revision: number;
  more: boolean;
}

export interface Playlist {
  id: Id;
  title: string;
  description: string;
  access: 'owner' | 'edit' | 'view';
  itemCount: number | null; // null: a smart one
  smart: object | null;
  shared: boolean;
}

export interface PlaylistItem {
  id: Id;
  track: Track | null;
}

/** A new list and where it begins, or without trackIds the place in the list of itemsAt. */
export interface QueueChange {
  trackIds?: Id[];
  itemsAt?: number;
  index: number;
  positionMs: number;
  at: number;
}

/** What holds for all devices. */
export interface HeldQueue {
  trackIds: Id[];
  itemsAt: number;
  index: number;
  positionMs: number;
  placeAt: number;
  placeDevice: string;
  /** tracks describes some of trackIds, from this one on. */
  tracksFrom: number;
  tracks: (Track | null)[];
}

export interface SharedPlaylist {
  title: string;
  description: string;
  itemCount: number | null;
  tracks: Page<PlaylistItem>;
}

export type ListFormat = 'm3u8' | 'xspf' | 'jspf';

export interface ImportedPlaylist {
  playlist: Playlist;
  entries: number;
  matched: number;
  unmatched: {
    line: number;
    location: string | null;
    artist: string | null;
    title: string | null;
    reason: string;
  }[];
}

/** A look at a folder of music. */
export interface Import {
  id: Id;
  folder: string;
  state: 'running' | 'done' | 'held' | 'failed' | 'stopped';
  reason: string;
  counts: Partial<Record<'files' | 'added' | 'changed' | 'moved' | 'missing' | 'broken', number>>;
  startedAt: number;
}

export interface Imports extends Page<Import> {
  followed: { folder: string; by: 'waiting' | 'watch' | 'poll' | 'away'; reason: string }[];
}

export interface ImportFile {
  folder: string;
  path: string;
  state: 'missing' | 'broken' | 'dropped';
  reason: string;
}

export interface LibraryFields {
  name: string;
  seenBy: 'everybody' | 'some';
  users: Id[];
  folders: string[];
}

export interface Library extends LibraryFields {
  id: Id;
  roles: Role[];
}

export interface Found {
  tracks: Track[];
  albums: Album[];
  artists: Artist[];
  playlists: Playlist[];
}

export interface StreamFile {
  format: 'aac' | 'mp3' | 'opus' | 'vorbis' | 'flac' | 'original';
  bitrate: number;
  mime: string;
  bytes: number;
  url: string;
  /** AAC only: ftyp + moov, and where the first fragment ends. */
  initBytes?: number;
  firstFragmentEnd?: number;
  /** AAC only: exact length. */
  samples?: number;
  timescale?: number;
}

export interface Stream {
  trackUrl: string;
  albumId: Id;
  title: string;
  durationMs: number;
  /** null of an imported track that has only its original so far. */
  hls: string | null;
  dash: string | null;
  files: StreamFile[];
  expiresAt: number;
}

export interface UploadPart {
  number: number;
  url: string;
  state: 'missing' | 'uploaded';
  etag?: string | null;
}

export interface Upload {
  id: Id;
  /** "complete": its parts are joined; "used": a track has it. */
  state: 'open' | 'complete' | 'used' | 'aborted';
  trackUrl: string;
  trackId: Id | null;
  partSize: number;
  parts: UploadPart[];
}

export interface NewAlbum {
  title: string;
  artistId: Id;
  releaseDate?: string;
  type?: string;
  genres?: string[];
  status?: 'published' | 'draft';
}

export interface NewTrack {
  albumId: Id;
  title: string;
  trackUrl: string;
  trackNumber?: number;
  discNumber?: number;
}
