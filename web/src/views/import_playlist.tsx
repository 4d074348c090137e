// A playlist of another program: its file is chosen, and what of it is here becomes a playlist.
import { useState } from 'preact/hooks';
import { api } from '../api';
import { plural } from '../format';
import { tell, tellError } from '../toasts';
import type { ImportedPlaylist, ListFormat } from '../types';
import { loadPlaylists } from './add_to_playlist';

/** By the ends of names: browsers know none of these by their types. */
const formats: Record<string, ListFormat | 'm3u'> = { m3u: 'm3u', m3u8: 'm3u8', xspf: 'xspf', jspf: 'jspf', json: 'jspf' };
const ends = Object.keys(formats).map((end) => `.${end}`);

/** Few M3Us say what they are called but by the file's own name; of the others, their title is it. */
async function titleOf(file: File, format: string): Promise<string | undefined> {
  const told = !format.startsWith('m3u') || /^#PLAYLIST:/m.test(await file.text());
  return told ? undefined : file.name.replace(/\.[^.]*$/, '').slice(0, 300) || undefined;
}

async function read(file: File): Promise<ImportedPlaylist | null> {
  const format = formats[/[^.]*$/.exec(file.name)![0].toLowerCase()];
  if (!format) {
    tell(`A playlist’s name ends in ${ends.join(', ')}.`, 'error');
    return null;
  }
  const answer = await api.importPlaylist(file, { format, title: await titleOf(file, format) }, crypto.randomUUID());
  await loadPlaylists();
  return answer;
}

export function ImportPlaylist({ onImported }: { onImported: (answer: ImportedPlaylist | null) => void }) {
  const [busy, setBusy] = useState(false);

  async function take(input: HTMLInputElement): Promise<void> {
    const file = input.files?.[0];
    if (file) {
      setBusy(true);
      await read(file).then(onImported, tellError);
      setBusy(false);
      input.value = '';
    }
  }

  return (
    <label class="button" aria-busy={busy}>
      {busy ? 'Importing…' : 'Import a playlist'}
      <input
        type="file"
        class="visually-hidden"
        accept={ends.join(',')}
        disabled={busy}
        onChange={(event) => void take(event.currentTarget)}
      />
    </label>
  );
}

export function Imported({ answer: { playlist, entries, matched, unmatched } }: { answer: ImportedPlaylist }) {
  return (
    <section aria-label="Imported" role="status">
      <p class="hint">
        <a class="link" href={`playlist/${playlist.id}`}>
          {playlist.title}
        </a>
        : {matched} of {plural(entries, 'track')} {matched === 1 ? 'is' : 'are'} here.
      </p>
      {unmatched.length > 0 && (
        <ul class="plain-list" aria-label="Not found">
          {unmatched.map(({ line, artist, title, location, reason }) => (
            <li key={line}>
              <span>
                <strong>{[artist, title].filter(Boolean).join(' – ') || location || `Line ${line}`}</strong>
                <small>
                  Line {line}: {reason}
                </small>
              </span>
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}
