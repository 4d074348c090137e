// The album as it was guessed, to be put right before it is sent.
import { useEffect, useState } from 'preact/hooks';
import { plural, size } from '../format';
import type { Artist } from '../types';
import type { PlannedTrack } from '../upload/album';
import type { DroppedFile } from '../upload/drop';
import type { Draft } from '../upload/plan';
import { DropZone } from '../ui/drop_zone';
import { Icon } from '../ui/icons';

interface UploadFormProps {
  draft: Draft;
  /** null while they are being asked for. */
  artists: Artist[] | null;
  resuming: boolean;
  busy: boolean;
  onChange: (draft: Draft) => void;
  onFiles: (files: DroppedFile[]) => void;
  onSend: (draft: Draft, artistId: string) => void;
  onCancel: () => void;
}

/** An object URL for the picture, given back when it is no longer shown. */
function usePicture(file: File | null): string {
  const [url, setUrl] = useState('');
  useEffect(() => {
    if (!file) {
      setUrl('');
      return undefined;
    }
    const made = URL.createObjectURL(file);
    setUrl(made);
    return () => URL.revokeObjectURL(made);
  }, [file]);
  return url;
}

function CoverField({ cover, onChange }: { cover: File | null; onChange: (cover: File) => void }) {
  const url = usePicture(cover);
  return (
    <label class="cover-field" title="Choose a cover">
      {url ? (
        <img src={url} alt="The cover you chose" />
      ) : (
        <span class="cover-none">
          <Icon name="image" size={36} />
          <span>Add a cover</span>
        </span>
      )}
      <input
        type="file"
        class="visually-hidden"
        accept="image/jpeg,image/png,image/webp,image/gif"
        aria-label="Cover"
        onChange={(event) => event.currentTarget.files?.[0] && onChange(event.currentTarget.files[0])}
      />
    </label>
  );
}

interface TrackFieldsProps {
  track: PlannedTrack;
  onChange: (fields: Partial<PlannedTrack>) => void;
  onRemove: () => void;
}

function TrackFields({ track, onChange, onRemove }: TrackFieldsProps) {
  return (
    <li class="edit-row">
      <input
        class="edit-number"
        inputMode="numeric"
        aria-label={`Number of ${track.title}`}
        value={track.number}
        onChange={(event) => onChange({ number: Number.parseInt(event.currentTarget.value, 10) || track.number })}
      />
      <input
        class="edit-title"
        aria-label={`Title of ${track.file.name}`}
        value={track.title}
        required
        maxLength={300}
        onInput={(event) => onChange({ title: event.currentTarget.value })}
      />
      <span class="edit-size">{size(track.file.size)}</span>
      <button type="button" class="icon-button small" aria-label={`Leave out ${track.title}`} onClick={onRemove}>
        <Icon name="close" size={16} />
      </button>
    </li>
  );
}

interface AboutProps {
  draft: Draft;
  artists: Artist[] | null;
  resuming: boolean;
  onChange: (draft: Draft) => void;
}

function About({ draft, artists, resuming, onChange }: AboutProps) {
  const set = (fields: Partial<Draft>) => onChange({ ...draft, ...fields });
  return (
    <div class="about">
      <CoverField cover={draft.cover} onChange={(cover) => set({ cover })} />
      <div class="about-fields">
        <label class="field">
          <span>Album</span>
          <input
            name="album"
            required
            maxLength={300}
            disabled={resuming}
            value={draft.title}
            onInput={(event) => set({ title: event.currentTarget.value })}
          />
        </label>
        {artists?.length === 0 && (
          <label class="field">
            <span>Your name as an artist</span>
            <input
              name="artist"
              required
              maxLength={200}
              value={draft.artist}
              onInput={(event) => set({ artist: event.currentTarget.value })}
            />
            <small>Your page will carry this name.</small>
          </label>
        )}
        {artists !== null && artists.length > 0 && (
          <label class="field">
            <span>Artist</span>
            <select name="artistId" disabled={resuming}>
              {artists.map((artist) => (
                <option key={artist.id} value={artist.id}>
                  {artist.name}
                </option>
              ))}
            </select>
          </label>
        )}
        <label class="field short">
          <span>Released</span>
          <input
            name="date"
            type="date"
            disabled={resuming}
            value={draft.date}
            onInput={(event) => set({ date: event.currentTarget.value })}
          />
        </label>
      </div>
    </div>
  );
}

export function UploadForm(props: UploadFormProps) {
  const { draft, onChange } = props;
  const bytes = draft.tracks.reduce((sum, track) => sum + track.file.size, 0);

  function setTrack(at: number, fields: Partial<PlannedTrack>): void {
    onChange({ ...draft, tracks: draft.tracks.map((t, i) => (i === at ? { ...t, ...fields } : t)) });
  }

  function removeTrack(at: number): void {
    const tracks = draft.tracks.filter((_, i) => i !== at);
    if (tracks.length === 0) {
      props.onCancel();
    } else {
      onChange({ ...draft, tracks });
    }
  }

  return (
    <form
      class="upload-form"
      onSubmit={(event) => {
        event.preventDefault();
        props.onSend(draft, String(new FormData(event.currentTarget).get('artistId') ?? ''));
      }}
    >
      {props.resuming && <p class="notice">These files belong to an upload that was interrupted. It goes on where it stopped.</p>}
      <About draft={draft} artists={props.artists} resuming={props.resuming} onChange={onChange} />
      <ol class="edit-rows">
        {draft.tracks.map((track, i) => (
          <TrackFields
            key={`${track.file.name}|${track.file.size}`}
            track={track}
            onChange={(fields) => setTrack(i, fields)}
            onRemove={() => removeTrack(i)}
          />
        ))}
      </ol>
      <div class="form-foot">
        <DropZone small onFiles={props.onFiles} />
        <span class="spacer" />
        <button type="button" class="button" onClick={props.onCancel}>
          Cancel
        </button>
        <button class="button primary" disabled={props.busy || props.artists === null}>
          {props.resuming ? 'Go on' : 'Upload'} {plural(draft.tracks.length, 'track')}, {size(bytes)}
        </button>
      </div>
    </form>
  );
}
