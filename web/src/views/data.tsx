// What is stored on somebody, for themselves, as one file in open formats.
import { useState } from 'preact/hooks';
import { api } from '../api';
import { session } from '../session';
import { useStore, whole } from '../store';
import { tellError } from '../toasts';
import { saveFile } from '../ui/save';

async function save(username: string): Promise<void> {
  const day = new Date().toISOString().slice(0, 10);
  saveFile(await api.exportMe(), `tutti-${username}-${day}.json`);
}

export function DataPage() {
  const state = useStore(session, whole);
  const [busy, setBusy] = useState(false);
  if (state.kind !== 'in') {
    return null;
  }
  const { username } = state.user;
  return (
    <main>
      <h1 class="page-title">My data</h1>
      <p class="bio">Everything that this server keeps about you, as one JSON file:</p>
      <ul class="plain-list" aria-label="What the file has">
        <li>
          <span>
            <strong>Account and devices</strong>
            <small>{username}, where you are signed in, and the queue</small>
          </span>
        </li>
        <li>
          <span>
            <strong>Favourites, ratings and follows</strong>
            <small>with the names, ISRCs and MusicBrainz ids of what they are of</small>
          </span>
        </li>
        <li>
          <span>
            <strong>Playlists</strong>
            <small>yours and those you joined, each as a JSPF</small>
          </span>
        </li>
        <li>
          <span>
            <strong>Plays</strong>
            <small>as ListenBrainz reads them</small>
          </span>
        </li>
      </ul>
      <button
        class="button primary"
        disabled={busy}
        onClick={() => {
          setBusy(true);
          void save(username)
            .catch(tellError)
            .finally(() => setBusy(false));
        }}
      >
        {busy ? 'Collecting…' : 'Download it'}
      </button>
    </main>
  );
}
