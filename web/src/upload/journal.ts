// What was begun, kept in localStorage, so that an upload goes on after a reload: the browser forgets
// the files, the server keeps their parts; dropping the same files again matches them. Each person has one of their own.
import { userId } from '../session';
import type { NewAlbum } from '../types';

export interface JournalFile {
  uploadId?: string;
  trackId?: string;
}

export interface JournalAlbum {
  /** Our own name for it; also the root of the idempotency keys. */
  key: string;
  /** What it was begun as: a request that is repeated has to say the same. */
  fields: NewAlbum;
  albumId?: string;
  hasCover?: boolean;
  startedAt: number;
  /** All of its files by their fingerprints. */
  files: Record<string, JournalFile>;
}

const storageName = () => `tutti.uploads.${userId()}`;
/** The server sweeps unfinished uploads after a day. */
const LIFE_MS = 24 * 3600 * 1000;

/** Recognises a file that is dropped again. */
export function fingerprint(file: { name: string; size: number; lastModified: number }): string {
  return `${file.name}|${file.size}|${file.lastModified}`;
}

export function parseJournal(text: string | null, now: number): JournalAlbum[] {
  try {
    const albums = JSON.parse(text ?? '[]') as JournalAlbum[];
    return albums.filter((album) => now - album.startedAt < LIFE_MS && typeof album.files === 'object');
  } catch {
    return [];
  }
}

export function readJournal(): JournalAlbum[] {
  return parseJournal(localStorage.getItem(storageName()), Date.now());
}

export function saveAlbum(album: JournalAlbum): void {
  const others = readJournal().filter((other) => other.key !== album.key);
  localStorage.setItem(storageName(), JSON.stringify([...others, album]));
}

export function forgetAlbum(key: string): void {
  localStorage.setItem(storageName(), JSON.stringify(readJournal().filter((album) => album.key !== key)));
}

/** The begun album that most of these files belong to. */
export function matchAlbum(journal: JournalAlbum[], fingerprints: string[]): JournalAlbum | null {
  const score = (album: JournalAlbum) => fingerprints.filter((f) => f in album.files).length;
  const best = [...journal].sort((a, b) => score(b) - score(a))[0];
  return best && score(best) > 0 ? best : null;
}
