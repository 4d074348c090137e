// Every route the app uses, typed. One function a route; nothing else calls the server's API but
// session.ts (refresh) and upload/transfer.ts (the parts' pre-signed PUTs).
import { apiUrl, call, file } from './http';
import { adopt, endSession } from './session';
import type {
  Album,
  Artist,
  Changes,
  Found,
  Genre,
  HeldQueue,
  Id,
  ImportedPlaylist,
  ImportFile,
  Imports,
  Library,
  LibraryFields,
  Letter,
  ListFormat,
  NewAlbum,
  NewTrack,
  Page,
  Playlist,
  PlaylistItem,
  QueueChange,
  Session,
  SharedPlaylist,
  Stream,
  Track,
  Upload,
  User,
} from './types';

export interface Setup {
  needed: boolean;
  registration: 'open' | 'closed';
}

const signIn = { anonymous: true } as const;

async function opened(answer: Promise<Session>): Promise<void> {
  adopt(await answer);
}

export interface AlbumQuery {
  sort?: 'title' | 'year' | 'random';
  order?: 'desc';
  genre?: string;
  seed?: number;
}

export type ArtSize = 64 | 128 | 300 | 600 | 1200;

export const api = {
  setupState: () => call<Setup>('GET', 'setup', signIn),

  async setUp(code: string, username: string, password: string): Promise<void> {
    await opened(call('POST', 'setup', { ...signIn, json: { code, username, password, cookie: true } }));
  },

  login: (username: string, password: string) =>
    opened(call('POST', 'auth/login', { ...signIn, json: { username, password, cookie: true } })),

  register: (username: string, email: string, password: string) =>
    opened(
      call('POST', 'auth/register', { ...signIn, json: { username, email, password, cookie: true } }),
    ),

  forgot: (email: string) => call<{ mail: boolean }>('POST', 'auth/forgot', { ...signIn, json: { email } }),
  reset: (token: string, password: string) =>
    call<undefined>('POST', 'auth/reset', { ...signIn, json: { token, password } }),

  async logout(): Promise<void> {
    await call('POST', 'auth/logout', { json: { cookie: true } }).finally(endSession);
  },

  async becomeArtist(name: string): Promise<Artist> {
    const answer = await call<Session & { artist: Artist }>('POST', 'me/artist', { json: { name } });
    adopt(answer, ['artist']);
    return answer.artist;
  },

  albums: (query: AlbumQuery, cursor?: string) => call<Page<Album>>('GET', 'albums', { query: { ...query, cursor, limit: 60 } }),
  /** What the person played last or most, likes, or rates highest. */
  ownAlbums: (list: 'played' | 'favourites' | 'ratings', sort?: string, cursor?: string) =>
    call<Page<{ album: Album | null }>>('GET', `me/${list}/album`, { query: { sort, cursor, limit: 60 } }),
  genres: () => call<Page<Genre>>('GET', 'genres', { query: { limit: 500 } }),
  album: (id: Id) => call<Album>('GET', `albums/${id}`),
  albumTracks: (id: Id) => call<Page<Track>>('GET', `albums/${id}/tracks`, { query: { limit: 500 } }),
  createAlbum: (album: NewAlbum, idempotencyKey: string, signal: AbortSignal) =>
    call<Album>('POST', 'albums', { json: album, idempotencyKey, signal }),
  putCover: (id: Id, image: Blob, signal: AbortSignal) => call<unknown>('PUT', `albums/${id}/cover`, { body: image, signal }),

  artist: (id: Id) => call<Artist>('GET', `artists/${id}`),
  artists: (cursor?: string) => call<Page<Artist>>('GET', 'artists', { query: { cursor, limit: 120 } }),
  artistIndex: () => call<{ letters: Letter[] }>('GET', 'artists/index'),
  albumsWithGuest: (id: Id) => call<Page<Album>>('GET', `artists/${id}/albums`, { query: { as: 'guest', limit: 200 } }),
  artistAlbums: (id: Id) => call<Page<Album>>('GET', `artists/${id}/albums`, { query: { limit: 200 } }),
  artistsOf: (userId: Id) => call<Page<Artist>>('GET', 'artists', { query: { ownerId: userId, limit: 200 } }),

  queue: (from?: number) => call<HeldQueue>('GET', 'me/queue', { query: { from } }),
  /** last: the page is going. */
  putQueue: (change: QueueChange & { device: string }, last: boolean, signal: AbortSignal) =>
    call<HeldQueue>('PUT', 'me/queue', { json: change, keepalive: last, signal }),
  setPlaying: (trackId: Id, positionMs: number, paused: boolean) =>
    call<unknown>('PUT', 'me/playing', { json: { trackId, positionMs, paused } }),
  exportMe: () => file('POST', 'me/export'),
  changes: (after: number) => call<Changes>('GET', 'me/changes', { query: { after } }),
  favouriteTracks: (cursor?: string) =>
    call<Page<{ track: Track | null }>>('GET', 'me/favourites/track', { query: { cursor, limit: 200 } }),
  playlists: (cursor?: string) => call<Page<Playlist>>('GET', 'playlists', { query: { cursor, limit: 500 } }),
  playlist: (id: Id) => call<Playlist>('GET', `playlists/${id}`),
  playlistItems: (id: Id, cursor?: string) =>
    call<Page<PlaylistItem>>('GET', `playlists/${id}/items`, { query: { cursor, limit: 200 } }),
  createPlaylist: (title: string, idempotencyKey: string) =>
    call<Playlist>('POST', 'playlists', { json: { title }, idempotencyKey }),
  addToPlaylist: (id: Id, trackIds: Id[], idempotencyKey: string) =>
    call<unknown>('POST', `playlists/${id}/items`, { json: { trackIds }, idempotencyKey }),
  playlistCover: (id: Id) => file('GET', `playlists/${id}/cover`, { size: 600 }),
  exportPlaylist: (id: Id, format: ListFormat) => file('GET', `playlists/${id}/export`, { format }),
  importPlaylist: (list: Blob, query: { format: ListFormat | 'm3u'; title?: string }, idempotencyKey: string) =>
    call<ImportedPlaylist>('POST', 'playlists/import', { query, body: list, idempotencyKey }),
  renamePlaylist: (id: Id, title: string) => call<Playlist>('PATCH', `playlists/${id}`, { json: { title } }),
  unsharePlaylist: (id: Id) => call<undefined>('DELETE', `playlists/${id}/share`),
  leavePlaylist: (id: Id, userId: Id) => call<undefined>('DELETE', `playlists/${id}/members/${userId}`),
  deletePlaylist: (id: Id) => call<undefined>('DELETE', `playlists/${id}`),
  sharePlaylist: (id: Id) => call<{ path: string }>('POST', `playlists/${id}/share`),
  invite: (id: Id) => call<{ token: string }>('POST', `playlists/${id}/invite`, { json: { access: 'edit' } }),
  join: (token: string) => call<Playlist>('POST', 'me/invites', { json: { token } }),
  /** after: the item it shall stand behind; null: the beginning. */
  moveItem: (id: Id, item: Id, after: Id | null) =>
    call<unknown>('PATCH', `playlists/${id}/items`, { json: { ops: [{ op: 'move', item, after }] } }),
  removeItem: (id: Id, item: Id) =>
    call<unknown>('PATCH', `playlists/${id}/items`, { json: { ops: [{ op: 'remove', item }] } }),
  shared: (token: string, cursor?: string) =>
    call<SharedPlaylist>('GET', `shared/${token}`, { anonymous: true, query: { cursor, limit: 200 } }),

  imports: () => call<Imports>('GET', 'imports', { query: { limit: 50 } }),
  startImport: (acceptMissing: boolean) => call<undefined>('POST', 'imports', { json: { acceptMissing } }),
  importFiles: (cursor?: string) => call<Page<ImportFile>>('GET', 'imports/files', { query: { cursor, limit: 100 } }),
  libraries: () => call<Page<Library>>('GET', 'libraries'),
  createLibrary: (library: LibraryFields, idempotencyKey: string) =>
    call<Library>('POST', 'libraries', { json: library, idempotencyKey }),
  changeLibrary: (id: Id, library: LibraryFields) => call<Library>('PATCH', `libraries/${id}`, { json: library }),
  deleteLibrary: (id: Id) => call<undefined>('DELETE', `libraries/${id}`),
  users: (cursor?: string) => call<Page<User>>('GET', 'admin/users', { query: { cursor, limit: 500 } }),
  giveArtist: (id: Id, userId: Id) => call<Artist>('PUT', `artists/${id}/owner`, { json: { userId } }),

  search: (q: string, limit: number, signal: AbortSignal) =>
    call<Found>('GET', 'search', { query: { q, limit }, signal }),

  createUpload: (filename: string, size: number, idempotencyKey: string, signal: AbortSignal) =>
    call<Upload>('POST', 'uploads', { json: { filename, size }, idempotencyKey, signal }),
  upload: (id: Id, signal: AbortSignal) => call<Upload>('GET', `uploads/${id}`, { signal }),
  completeUpload: (id: Id, parts: { number: number; etag: string }[], signal: AbortSignal) =>
    call<unknown>('POST', `uploads/${id}/complete`, { json: { parts }, idempotencyKey: `complete-${id}`, signal }),
  createTrack: (track: NewTrack, idempotencyKey: string, signal: AbortSignal) =>
    call<Track>('POST', 'tracks', { json: track, idempotencyKey, signal }),

  /** Up to the best AAC rung: a line of its own carries lossless. */
  stream: (id: Id) => call<Stream>('GET', `tracks/${id}/stream`, { query: { maxBitrate: 320 } }),
  artUrl: (id: Id, size: ArtSize) => apiUrl(`art/${id}`, { size }),
  /** For who may see it where not everybody may. */
  art: (id: Id, size: ArtSize) => file('GET', `art/${id}`, { size }),
};
