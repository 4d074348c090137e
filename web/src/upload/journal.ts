// What was begun, kept in localStorage, so that an upload goes on after a reload: the browser forgets
// the files, the server keeps their parts; dropping the same files again matches them.

export interface JournalFile {
  uploadId?: string;
  trackId?: string;
}

export interface JournalAlbum {
  /** Our own name for it; also the root of the idempotency keys. */
  key: string;
  albumId?: string;
  title: string;
  startedAt: number;
  files: Record<string, JournalFile>;
}

const NAME = 'tutti.uploads';
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
  return parseJournal(localStorage.getItem(NAME), Date.now());
}

export function saveAlbum(album: JournalAlbum): void {
  const others = readJournal().filter((other) => other.key !== album.key);
  localStorage.setItem(NAME, JSON.stringify([...others, album]));
}

export function forgetAlbum(key: string): void {
  localStorage.setItem(NAME, JSON.stringify(readJournal().filter((album) => album.key !== key)));
}

/** The begun album that most of these files belong to. */
export function matchAlbum(journal: JournalAlbum[], fingerprints: string[]): JournalAlbum | null {
  const score = (album: JournalAlbum) => fingerprints.filter((f) => f in album.files).length;
  const best = [...journal].sort((a, b) => score(b) - score(a))[0];
  return best && score(best) > 0 ? best : null;
}
