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
  name: string;
  bio: string;
  imageArtId: Id | null;
}

export interface Album {
  id: Id;
  title: string;
  artistId: Id;
  artistName: string;
  releaseDate: string | null;
  type: 'album' | 'single' | 'ep' | 'compilation';
  genres: string[];
  status: 'published' | 'draft';
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
  hls: string;
  dash: string;
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
