// Every route the app uses, typed. One function a route; nothing else calls the server's API but
// session.ts (refresh) and upload/transfer.ts (the parts' pre-signed PUTs).
import { apiUrl, call } from './http';
import { adopt, endSession } from './session';
import type {
  Album,
  Artist,
  Id,
  NewAlbum,
  NewTrack,
  Page,
  Session,
  Stream,
  Track,
  Upload,
} from './types';

export interface Setup {
  needed: boolean;
  registration: 'open' | 'closed';
}

const signIn = { anonymous: true } as const;

async function opened(answer: Promise<Session>): Promise<void> {
  adopt(await answer);
}

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

  albums: (cursor?: string, limit = 60) => call<Page<Album>>('GET', 'albums', { query: { cursor, limit } }),
  album: (id: Id) => call<Album>('GET', `albums/${id}`),
  albumTracks: (id: Id) => call<Page<Track>>('GET', `albums/${id}/tracks`, { query: { limit: 500 } }),
  createAlbum: (album: NewAlbum, idempotencyKey: string) =>
    call<Album>('POST', 'albums', { json: album, idempotencyKey }),
  putCover: (id: Id, image: Blob) => call<unknown>('PUT', `albums/${id}/cover`, { body: image }),

  artist: (id: Id) => call<Artist>('GET', `artists/${id}`),
  artistAlbums: (id: Id) => call<Page<Album>>('GET', `artists/${id}/albums`, { query: { limit: 200 } }),
  artistsOf: (userId: Id) => call<Page<Artist>>('GET', 'artists', { query: { ownerId: userId, limit: 200 } }),

  createUpload: (filename: string, size: number, idempotencyKey: string) =>
    call<Upload>('POST', 'uploads', { json: { filename, size }, idempotencyKey }),
  upload: (id: Id) => call<Upload>('GET', `uploads/${id}`),
  completeUpload: (id: Id, parts: { number: number; etag: string }[]) =>
    call<unknown>('POST', `uploads/${id}/complete`, { json: { parts }, idempotencyKey: `complete-${id}` }),
  createTrack: (track: NewTrack, idempotencyKey: string) =>
    call<Track>('POST', 'tracks', { json: track, idempotencyKey }),

  /** Up to the best AAC rung: a line of its own carries lossless. */
  stream: (id: Id) => call<Stream>('GET', `tracks/${id}/stream`, { query: { maxBitrate: 320 } }),
  artUrl: (id: Id, size: 64 | 128 | 300 | 600 | 1200) => apiUrl(`art/${id}`, { size }),
};
