// For admins: an imported artist, with all of its music, becomes an artist's account's.
import { useState } from 'preact/hooks';
import { api } from '../api';
import { session } from '../session';
import { useStore, whole } from '../store';
import { tell, tellError } from '../toasts';
import type { Artist, Id, Page, User } from '../types';

interface FormProps {
  artist: Artist;
  first: Page<User>;
  onDone: (ownerId: Id) => void;
}

function Form({ artist, first, onDone }: FormProps) {
  const [pages, setPages] = useState([first]);
  const [chosen, setChosen] = useState('');
  const all = pages.flatMap((page) => page.items).filter((user) => user.roles.includes('artist'));
  const next = pages.at(-1)!.next;

  function submit(event: Event): void {
    event.preventDefault();
    const user = all.find(({ id }) => id === chosen);
    if (user) {
      api.giveArtist(artist.id, user.id).then(({ ownerId }) => {
        tell(`${artist.name} is ${user.username}’s now`);
        onDone(ownerId);
      }, tellError);
    }
  }

  return (
    <form class="give" onSubmit={submit}>
      <label class="field">
        <span>Whose it is, with all of its music</span>
        <select name="userId" required value={chosen} onChange={(event) => setChosen(event.currentTarget.value)}>
          <option value="">an artist’s account</option>
          {all.map((user) => (
            <option key={user.id} value={user.id} disabled={user.id === artist.ownerId}>
              {user.username}
            </option>
          ))}
        </select>
      </label>
      <div class="form-buttons">
        <button class="button primary" disabled={chosen === ''}>
          Give
        </button>
        {next && (
          <button class="button" type="button" onClick={() => api.users(next).then((page) => setPages([...pages, page]), tellError)}>
            More accounts
          </button>
        )}
        <button class="button" type="button" onClick={() => onDone(artist.ownerId)}>
          Cancel
        </button>
      </div>
    </form>
  );
}

export function GiveArtist({ artist }: { artist: Artist }) {
  const state = useStore(session, whole);
  const [ownerId, setOwnerId] = useState(artist.ownerId);
  const [people, setPeople] = useState<Page<User> | null>(null);
  if (!artist.imported || state.kind !== 'in' || !state.user.roles.includes('admin')) {
    return null;
  }
  if (!people) {
    return (
      <div class="hero-actions">
        <button class="button" onClick={() => api.users().then(setPeople, tellError)}>
          Give to an account
        </button>
      </div>
    );
  }
  const done = (owner: Id) => {
    setOwnerId(owner);
    setPeople(null);
  };
  return <Form artist={{ ...artist, ownerId }} first={people} onDone={done} />;
}
