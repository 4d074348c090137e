// An album on its way to the server: album, cover, files, tracks. Lives outside the views, so that
// looking at something else stops nothing.
import { api } from '../api';
import { onUserChange } from '../session';
import { tellError } from '../toasts';
import { createStore } from '../store';
import { words } from '../problem';
import type { Track } from '../types';
import { fingerprint, forgetAlbum, saveAlbum, type JournalAlbum } from './journal';
import { persist } from './persist';
import { transfer } from './transfer';
import { watchAlbum } from './watch';

export interface PlannedTrack {
  file: File;
  title: string;
  number: number;
  disc: number | null;
}

export interface PlannedAlbum {
  artistId: string;
  title: string;
  releaseDate: string;
  type: string;
  cover: File | null;
  tracks: PlannedTrack[];
}

export type ItemState = 'waiting' | 'sending' | 'interrupted' | 'finishing' | 'processing' | 'ready' | 'failed';

export interface UploadItem extends PlannedTrack {
  key: string;
  state: ItemState;
  sent: number;
  /** Of the work after the upload, in percent. */
  progress: number;
  trackId?: string;
  message?: string;
}

export interface UploadJob {
  albumId: string | null;
  title: string;
  items: UploadItem[];
  finished: boolean;
}

export const uploadJob = createStore<UploadJob | null>(null);

const AT_ONCE = 3;
let abort = new AbortController();
let stopWatching = () => {};

function change(key: string, fields: Partial<UploadItem>): void {
  uploadJob.update(
    (job) =>
      job && { ...job, items: job.items.map((item) => (item.key === key ? { ...item, ...fields } : item)) },
  );
}

function newJournal({ title, artistId, type, releaseDate, tracks }: PlannedAlbum): JournalAlbum {
  return {
    key: crypto.randomUUID?.() ?? String(Math.random()),
    fields: { title, artistId, type, releaseDate: releaseDate || undefined },
    startedAt: Date.now(),
    files: Object.fromEntries(tracks.map(({ file }) => [fingerprint(file), {}])),
  };
}

/** Noted before it is asked for, so that an answer that is lost is not another album. */
async function ensureAlbum(journal: JournalAlbum, signal: AbortSignal): Promise<string> {
  if (!journal.albumId) {
    saveAlbum(journal);
    try {
      const create = (signal: AbortSignal) => api.createAlbum(journal.fields, `album-${journal.key}`, signal);
      journal.albumId = (await persist(create, signal)).id;
    } catch (error) {
      if (!signal.aborted) {
        forgetAlbum(journal.key); // what is put right in it begins anew
      }
      throw error;
    }
    saveAlbum(journal);
  }
  return journal.albumId;
}

/** An album does without one, if it must. */
async function ensureCover(cover: File | null, albumId: string, journal: JournalAlbum, signal: AbortSignal): Promise<void> {
  if (!cover || journal.hasCover) {
    return;
  }
  try {
    await persist((signal) => api.putCover(albumId, cover, signal), signal);
    journal.hasCover = true;
    saveAlbum(journal);
  } catch (error) {
    signal.throwIfAborted();
    tellError(error);
  }
}

async function createTrack(item: UploadItem, albumId: string, trackUrl: string, uploadId: string, signal: AbortSignal) {
  const { title, number, disc } = item;
  const fields = { albumId, title, trackUrl, trackNumber: number, discNumber: disc ?? undefined };
  const track = await persist((signal) => api.createTrack(fields, `track-${uploadId}`, signal), signal);
  return track.id;
}

async function sendItem(item: UploadItem, albumId: string, journal: JournalAlbum, signal: AbortSignal): Promise<void> {
  const noted = (journal.files[item.key] ??= {});
  if (noted.trackId) {
    change(item.key, { state: 'processing', sent: item.file.size, trackId: noted.trackId });
    return;
  }
  change(item.key, { state: 'sending' });
  const key = `${journal.key}-${item.number}-${item.disc ?? 1}-${item.file.size}`;
  const { trackUrl, trackId } = await transfer(
    item.file,
    { uploadId: noted.uploadId, key: `upload-${key}` },
    {
      begun(uploadId) {
        noted.uploadId = uploadId;
        saveAlbum(journal);
      },
      sent: (sent) => change(item.key, { sent }),
      waiting: (isWaiting) => change(item.key, { state: isWaiting ? 'interrupted' : 'sending' }),
    },
    signal,
  );
  change(item.key, { state: 'finishing', sent: item.file.size });
  noted.trackId = trackId ?? (await createTrack(item, albumId, trackUrl, noted.uploadId!, signal));
  saveAlbum(journal);
  change(item.key, { state: 'processing', trackId: noted.trackId });
}

/** A few files at a time, in order. */
async function sendAll(albumId: string, journal: JournalAlbum, signal: AbortSignal): Promise<void> {
  const waiting = [...(uploadJob.get()?.items ?? [])];
  async function worker(): Promise<void> {
    for (let item = waiting.shift(); item; item = waiting.shift()) {
      const { key } = item;
      await sendItem(item, albumId, journal, signal).catch((error) => {
        signal.throwIfAborted();
        change(key, { state: 'failed', message: words(error) });
      });
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}

/** Percent of the work on its file. */
function progressOf({ progress }: Track): number {
  return progress.of > 0 ? (100 * progress.done) / progress.of : 0;
}

function showTrack(track: Track): void {
  const item = uploadJob.get()?.items.find((i) => i.trackId === track.id);
  if (!item) {
    return;
  }
  if (track.status === 'ready' || track.status === 'failed') {
    change(item.key, { state: track.status, message: track.failure?.reason });
  } else {
    change(item.key, { state: 'processing', progress: progressOf(track) });
  }
}

function follow(albumId: string): void {
  stopWatching();
  const show = (tracks: Track[]) => tracks.forEach(showTrack);
  stopWatching = watchAlbum(albumId, show, () => uploadJob.get()?.finished === false);
}

/** Begins, or goes on with, an album. */
export async function startUpload(plan: PlannedAlbum, begun: JournalAlbum | null): Promise<void> {
  const journal = begun ?? newJournal(plan);
  const leaving = (event: BeforeUnloadEvent) => event.preventDefault();
  abort = new AbortController();
  const { signal } = abort;
  uploadJob.set({
    albumId: journal.albumId ?? null,
    title: plan.title,
    finished: false,
    items: plan.tracks.map((track) => ({
      ...track,
      key: fingerprint(track.file),
      state: 'waiting',
      sent: 0,
      progress: 0,
    })),
  });
  window.addEventListener('beforeunload', leaving);
  try {
    const albumId = await ensureAlbum(journal, signal);
    uploadJob.update((job) => job && { ...job, albumId });
    follow(albumId);
    await ensureCover(plan.cover, albumId, journal, signal);
    await sendAll(albumId, journal, signal);
    const failed = uploadJob.get()?.items.some((item) => item.state === 'failed');
    if (!failed) {
      forgetAlbum(journal.key);
    }
    uploadJob.update((job) => job && { ...job, finished: true });
  } finally {
    window.removeEventListener('beforeunload', leaving);
  }
}

export function cancelUpload(): void {
  abort.abort();
  closeUpload();
}

export function closeUpload(): void {
  stopWatching();
  uploadJob.set(null);
}

onUserChange(cancelUpload);
