// Uploading an album: drop, look over what was guessed, send, watch it become ready.
import { useEffect, useState } from 'preact/hooks';
import { api } from '../api';
import { plural } from '../format';
import { session } from '../session';
import { useStore, whole } from '../store';
import { tell, tellError } from '../toasts';
import type { Artist } from '../types';
import { startUpload, uploadJob } from '../upload/album';
import type { DroppedFile } from '../upload/drop';
import { fingerprint, forgetAlbum, matchAlbum, readJournal, type JournalAlbum } from '../upload/journal';
import { draftOf, extend, typeOf, type Draft } from '../upload/plan';
import { DropZone } from '../ui/drop_zone';
import { UploadForm } from './upload_form';
import { UploadProgress } from './upload_progress';

/** The person's own pages; none until they are an artist. */
function useMyArtists(): [Artist[] | null, (artists: Artist[]) => void] {
  const state = useStore(session, whole);
  const userId = state.kind === 'in' ? state.user.id : '';
  const [artists, setArtists] = useState<Artist[] | null>(null);
  useEffect(() => {
    api.artistsOf(userId).then((page) => setArtists(page.items), tellError);
  }, [userId]);
  return [artists, setArtists];
}

function Unfinished({ albums, onDiscard }: { albums: JournalAlbum[]; onDiscard: (key: string) => void }) {
  return (
    <ul class="unfinished">
      {albums.map((album) => (
        <li key={album.key}>
          <p>
            <strong>{album.fields.title}</strong> isn’t finished. Drop its files again and it goes on where it stopped.
          </p>
          <button class="link" onClick={() => onDiscard(album.key)}>
            Forget it
          </button>
        </li>
      ))}
    </ul>
  );
}

const fingerprints = (draft: Draft) => draft.tracks.map(({ file }) => fingerprint(file));

async function artistFor(draft: Draft, mine: Artist[], chosenId: string): Promise<Artist> {
  return mine.find((artist) => artist.id === chosenId) ?? mine[0] ?? api.becomeArtist(draft.artist.trim());
}

export function UploadPage() {
  const job = useStore(uploadJob, whole);
  const [artists, setArtists] = useMyArtists();
  const [draft, setDraft] = useState<Draft | null>(null);
  const [begun, setBegun] = useState<JournalAlbum | null>(null);
  const [unfinished, setUnfinished] = useState(readJournal);
  const [busy, setBusy] = useState(false);

  function onFiles(files: DroppedFile[]): void {
    const next = draft ? extend(draft, files) : draftOf(files);
    if (next.tracks.length === 0) {
      tell('There was no music among these files.', 'error');
      return;
    }
    const earlier = matchAlbum(readJournal(), fingerprints(next));
    setBegun(earlier);
    setDraft(earlier ? { ...next, title: earlier.fields.title } : next);
  }

  async function onSend(ready: Draft, artistId: string): Promise<void> {
    setBusy(true);
    try {
      const artist = await artistFor(ready, artists ?? [], artistId);
      setArtists([artist, ...(artists ?? []).filter((other) => other.id !== artist.id)]);
      setDraft(null);
      await startUpload(
        {
          artistId: artist.id,
          title: ready.title.trim(),
          releaseDate: ready.date,
          type: typeOf(ready.tracks.length),
          cover: ready.cover,
          tracks: ready.tracks,
        },
        begun,
      );
    } catch (error) {
      tellError(error);
      if (!uploadJob.get()?.albumId) {
        uploadJob.set(null);
        setDraft(ready);
        setBegun(matchAlbum(readJournal(), fingerprints(ready)));
      }
    } finally {
      setBusy(false);
      setUnfinished(readJournal());
    }
  }

  function discard(key: string): void {
    forgetAlbum(key);
    setUnfinished(readJournal());
  }

  if (job) {
    return <UploadProgress job={job} />;
  }
  return (
    <main class="upload">
      <h1 class="page-title">{draft ? plural(draft.tracks.length, 'track') : 'Upload'}</h1>
      {!draft && unfinished.length > 0 && <Unfinished albums={unfinished} onDiscard={discard} />}
      {draft ? (
        <UploadForm
          draft={draft}
          artists={artists}
          resuming={begun !== null}
          busy={busy}
          onChange={setDraft}
          onFiles={onFiles}
          onSend={(ready, artistId) => void onSend(ready, artistId)}
          onCancel={() => setDraft(null)}
        />
      ) : (
        <DropZone onFiles={onFiles} />
      )}
    </main>
  );
}
