// From dropped files to an album that can be sent: what the form starts with.
import { chooseCover, compareTracks, guessAlbum, guessTrack, isAudio, isImage } from './names';
import type { DroppedFile } from './drop';
import type { PlannedTrack } from './album';

export interface Draft {
  title: string;
  artist: string;
  /** A day, as INPUT type=date has it: "2019-05-31", or nothing. */
  date: string;
  cover: File | null;
  tracks: PlannedTrack[];
}

/** Numbers that are missing or taken are filled in, disc by disc. */
export function renumber(tracks: PlannedTrack[]): PlannedTrack[] {
  const taken = new Set<string>();
  const last = new Map<number, number>();
  return tracks.map((track) => {
    const disc = track.disc ?? 1;
    const clash = track.number <= 0 || taken.has(`${disc}/${track.number}`);
    const number = clash ? (last.get(disc) ?? 0) + 1 : track.number;
    taken.add(`${disc}/${number}`);
    last.set(disc, Math.max(number, last.get(disc) ?? 0));
    return { ...track, number };
  });
}

export function draftOf(files: DroppedFile[]): Draft {
  const sorted = files
    .filter(({ file }) => isAudio(file.name))
    .map(({ file, folder }) => ({ file, filename: file.name, ...guessTrack(file.name, folder) }))
    .sort(compareTracks);
  const tracks = sorted.map(({ file, title, number, disc }) => ({ file, title, number: number ?? 0, disc }));
  const folder = files.find(({ root }) => root !== '')?.root ?? '';
  const { title, artist, year } = guessAlbum(folder);
  return {
    title,
    artist,
    date: year && `${year}-01-01`,
    cover: chooseCover(files.map(({ file }) => file).filter((file) => isImage(file.name))),
    tracks: renumber(tracks),
  };
}

/** More files for a draft that is open already; the same file twice counts once. */
export function extend(draft: Draft, files: DroppedFile[]): Draft {
  const known = new Set(draft.tracks.map(({ file }) => `${file.name}|${file.size}`));
  const more = draftOf(files.filter(({ file }) => !known.has(`${file.name}|${file.size}`)));
  return {
    title: draft.title || more.title,
    artist: draft.artist || more.artist,
    date: draft.date || more.date,
    cover: more.cover ?? draft.cover,
    tracks: renumber([...draft.tracks, ...more.tracks]),
  };
}

export function typeOf(count: number): string {
  return count === 1 ? 'single' : 'album';
}
