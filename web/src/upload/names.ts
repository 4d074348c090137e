// What file and folder names tell about an album. Guesses only: the form shows them to be corrected.

export interface TrackGuess {
  title: string;
  number: number | null;
  disc: number | null;
}

export interface AlbumGuess {
  title: string;
  artist: string;
  year: string;
}

const AUDIO = /\.(wav|wave|flac|alac|aiff?|aifc|mp3|m4a|mp4|aac|ogg|oga|opus|wv)$/i;
const IMAGE = /\.(jpe?g|png|webp|gif)$/i;
const COVER_NAMES = ['cover', 'folder', 'front', 'album', 'artwork', 'art'];

export const isAudio = (name: string): boolean => AUDIO.test(name);
export const isImage = (name: string): boolean => IMAGE.test(name);

const withoutExtension = (name: string) => name.replace(/\.[^.]{1,5}$/, '');
const tidy = (text: string) => text.replace(/_/g, ' ').replace(/\s+/g, ' ').trim();

/** "1-02", "02.", "02 -", "(02)", "[02]", "Track 02" in front of a title. */
const NUMBERED =
  /^[([]?(?:track\s*)?(?:(?<disc>\d{1,2})[-.](?=\d{1,3}\D))?(?<number>\d{1,3})[)\]]?(?:\s*[-–—._)]\s*|\s+)(?<title>\S.*)$/iu;

/** Reads "03 - Title.flac", "1-03 Title.mp3", "Artist - Album - 03 - Title.ogg", "Title.wav". */
export function guessTrack(filename: string, folder = ''): TrackGuess {
  const name = tidy(withoutExtension(filename));
  const disc = Number(/(?:^|\b)(?:cd|disc|disk)\s*(\d{1,2})\b/i.exec(folder)?.[1] ?? 0) || null;
  const direct = NUMBERED.exec(name)?.groups;
  if (direct) {
    return {
      title: tidy(afterArtist(direct.title!, true)),
      number: Number(direct.number),
      disc: direct.disc ? Number(direct.disc) : disc,
    };
  }
  const pieces = name.split(/\s+[-–—]\s+/u);
  const at = pieces.findIndex((piece, i) => i > 0 && i < pieces.length - 1 && /^\d{1,3}$/.test(piece));
  if (at > 0) {
    return { title: pieces.slice(at + 1).join(' - '), number: Number(pieces[at]), disc };
  }
  const only = /^(?:track\s*)?(\d{1,3})$/i.exec(name);
  return { title: only ? `Track ${Number(only[1])}` : name, number: only ? Number(only[1]) : null, disc };
}

/** "03 Artist - Title" names the artist too, where a number came first; a title keeps its own dashes. */
function afterArtist(title: string, numbered: boolean): string {
  const pieces = title.split(/\s+[-–—]\s+/u);
  return numbered && pieces.length === 2 ? pieces[1]! : title;
}

/** Reads "Artist - Album (2019)", "2019 - Album", "Album [FLAC]". */
export function guessAlbum(folder: string): AlbumGuess {
  let text = tidy(folder.replace(/[([](?:flac|mp3|wav|web|cd|vinyl|\d{2,3}\s?k(?:bps)?|24bit.*?)[)\]]/gi, ''));
  let year = '';
  const after = /[([]((?:19|20)\d{2})[)\]]/.exec(text);
  const before = /^((?:19|20)\d{2})\s*[-–—.]\s*(.+)$/u.exec(text);
  if (after) {
    year = after[1]!;
    text = tidy(text.replace(after[0], ''));
  } else if (before) {
    year = before[1]!;
    text = before[2]!;
  }
  const pieces = text.split(/\s+[-–—]\s+/u);
  if (pieces.length >= 2 && /^(?:19|20)\d{2}$/.test(pieces[1]!)) {
    year ||= pieces[1]!;
    pieces.splice(1, 1);
  }
  return pieces.length >= 2
    ? { artist: pieces[0]!, title: pieces.slice(1).join(' - '), year }
    : { artist: '', title: text, year };
}

/** The picture most likely to be the front cover. */
export function chooseCover<T extends { name: string; size: number }>(images: T[]): T | null {
  const rank = (image: T) => {
    const at = COVER_NAMES.findIndex((word) => withoutExtension(image.name).toLowerCase().includes(word));
    return at < 0 ? COVER_NAMES.length : at;
  };
  return [...images].sort((a, b) => rank(a) - rank(b) || b.size - a.size)[0] ?? null;
}

/** By disc, number, then name as people sort ("2" before "10"). */
export function compareTracks(
  a: TrackGuess & { filename: string },
  b: TrackGuess & { filename: string },
): number {
  const far = Number.MAX_SAFE_INTEGER;
  return (
    (a.disc ?? 1) - (b.disc ?? 1) ||
    (a.number ?? far) - (b.number ?? far) ||
    a.filename.localeCompare(b.filename, undefined, { numeric: true })
  );
}
