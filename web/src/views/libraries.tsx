// For admins: libraries, each with its folders and who sees it.
import { useEffect, useState } from 'preact/hooks';
import { api } from '../api';
import { createOwnStore } from '../own_store';
import { useStore, whole } from '../store';
import { tell, tellError } from '../toasts';
import type { Id, Library, LibraryFields, User } from '../types';

const libraries = createOwnStore<Library[]>([]);
const people = createOwnStore<User[]>([]);

async function load(): Promise<void> {
  const items = <T,>({ items }: { items: T[] }) => items;
  await Promise.all([libraries.take(api.libraries().then(items)), people.take(api.users().then(items))]);
}

async function keep(id: Id | null, fields: LibraryFields): Promise<void> {
  await (id ? api.changeLibrary(id, fields) : api.createLibrary(fields, crypto.randomUUID()));
  await load();
}

function remove(library: Library): void {
  if (confirm(`Delete the library ${library.name}? Its music stays.`)) {
    api.deleteLibrary(library.id).then(load).catch(tellError);
  }
}

function Readers({ chosen, onChange }: { chosen: Id[]; onChange: (ids: Id[]) => void }) {
  const users = useStore(people, whole).filter((user) => !user.roles.includes('admin'));
  return (
    <fieldset class="readers">
      <legend>Who sees it, beside admins</legend>
      {users.length === 0 && <small>There is nobody else yet.</small>}
      {users.map((user) => (
        <label key={user.id}>
          <input
            type="checkbox"
            checked={chosen.includes(user.id)}
            onChange={() => onChange(chosen.includes(user.id) ? chosen.filter((id) => id !== user.id) : [...chosen, user.id])}
          />
          {user.username}
        </label>
      ))}
    </fieldset>
  );
}

interface FormProps {
  library: Library | null;
  onDone: () => void;
}

function Form({ library, onDone }: FormProps) {
  const [name, setName] = useState(library?.name ?? '');
  const [folders, setFolders] = useState(library?.folders.join('\n') ?? '');
  const [seenBy, setSeenBy] = useState<Library['seenBy']>(library?.seenBy ?? 'some');
  const [users, setUsers] = useState(library?.users ?? []);

  function submit(event: Event): void {
    event.preventDefault();
    const list = folders.split('\n').map((line) => line.trim()).filter((line) => line !== '');
    keep(library?.id ?? null, { name, seenBy, users, folders: list }).then(() => {
      tell('Look at the folders now to sort their music in');
      onDone();
    }, tellError);
  }

  return (
    <form class="library-form" onSubmit={submit}>
      <label class="field">
        <span>Name</span>
        <input name="name" required maxLength={200} value={name} onInput={(event) => setName(event.currentTarget.value)} />
      </label>
      <label class="field">
        <span>Folders, one a line</span>
        <textarea name="folders" rows={2} value={folders} onInput={(event) => setFolders(event.currentTarget.value)} />
      </label>
      <label class="field">
        <span>Seen by</span>
        <select name="seenBy" value={seenBy} onChange={(event) => setSeenBy(event.currentTarget.value as Library['seenBy'])}>
          <option value="everybody">everybody</option>
          <option value="some">some</option>
        </select>
      </label>
      {seenBy === 'some' && <Readers chosen={users} onChange={setUsers} />}
      <div class="form-buttons">
        <button class="button primary">Keep</button>
        <button class="button" type="button" onClick={onDone}>
          Cancel
        </button>
      </div>
    </form>
  );
}

function seen(library: Library, users: User[]): string {
  if (library.seenBy === 'everybody') {
    return 'seen by everybody';
  }
  const names = library.users.map((id) => users.find((user) => user.id === id)?.username ?? 'somebody who left');
  return `seen by ${[...library.roles.map((role) => `every ${role}`), ...names, 'admins'].join(', ')}`;
}

export function Libraries() {
  const all = useStore(libraries, whole);
  const users = useStore(people, whole);
  const [open, setOpen] = useState<Id | 'new' | null>(null);
  useEffect(() => {
    load().catch(tellError);
  }, []);
  return (
    <>
      <div class="title-row">
        <h1 class="page-title">Libraries</h1>
        <button class="button" onClick={() => setOpen('new')}>
          New library
        </button>
      </div>
      {all.length === 0 && open !== 'new' && <p class="hint">All music is everybody’s. A library keeps some of it to some people.</p>}
      {open === 'new' && <Form library={null} onDone={() => setOpen(null)} />}
      <ul class="plain-list" aria-label="Libraries">
        {all.map((library) =>
          open === library.id ? (
            <li key={library.id}>
              <Form library={library} onDone={() => setOpen(null)} />
            </li>
          ) : (
            <li key={library.id}>
              <span>
                <strong>{library.name}</strong>
                <small>
                  {seen(library, users)}
                  {library.folders.length > 0 && ` · ${library.folders.join(', ')}`}
                </small>
              </span>
              <button class="button" onClick={() => setOpen(library.id)}>
                Change
              </button>
              <button class="button" onClick={() => remove(library)}>
                Delete
              </button>
            </li>
          ),
        )}
      </ul>
    </>
  );
}
