// For admins: the folders that are followed, how the look at them goes, what is wrong in them, and the libraries.
import { useEffect, useState } from 'preact/hooks';
import { api } from '../api';
import { plural } from '../format';
import { createOwnStore } from '../own_store';
import { useStore, whole } from '../store';
import { tell, tellError } from '../toasts';
import type { Import, ImportFile, Imports, Page } from '../types';
import { useResource } from '../ui/resource';
import { Failed } from '../ui/states';
import { Libraries } from './libraries';

const SOON_MS = 1000;
const LATER_MS = 5000;

const imports = createOwnStore<Imports | null>(null);

const noticed = {
  waiting: 'not looked at yet',
  watch: 'watched',
  poll: 'looked at now and then',
  away: 'away',
} as const;

const ended = { running: 'Looking…', done: 'Done', held: 'Held back', failed: 'Failed', stopped: 'Stopped' } as const;

/** Asks again as long as the page is there, and often while something goes on. */
function useImports(): Imports | null {
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    let here = true;
    async function ask(): Promise<void> {
      await imports.take(api.imports()).catch(tellError);
      const runs = imports.get()?.items.some((run) => run.state === 'running');
      timer = here ? setTimeout(ask, runs ? SOON_MS : LATER_MS) : undefined;
    }
    void ask();
    return () => {
      here = false;
      clearTimeout(timer);
    };
  }, []);
  return useStore(imports, whole);
}

async function look(acceptMissing: boolean): Promise<void> {
  await api.startImport(acceptMissing);
  tell(acceptMissing ? 'They are called missing now' : 'The folders are looked at');
  await imports.take(api.imports());
}

function words(run: Import): string {
  const { files = 0, added = 0, changed = 0, moved = 0, missing = 0, broken = 0 } = run.counts;
  const parts: [number, string][] = [
    [added, 'new'],
    [changed, 'changed'],
    [moved, 'moved'],
    [missing, 'missing'],
    [broken, 'broken'],
  ];
  const told = parts.filter(([count]) => count > 0).map(([count, word]) => `${count} ${word}`);
  return [plural(files, 'file'), ...told].join(' · ');
}

function Run({ run }: { run: Import }) {
  return (
    <li class={`run ${run.state}`}>
      <span class={`badge ${run.state}`}>{ended[run.state]}</span>
      <span>
        <strong>{run.folder}</strong>
        <small aria-live={run.state === 'running' ? 'polite' : undefined}>
          {words(run)} · {new Date(run.startedAt).toLocaleString()}
        </small>
        {run.reason && <small>{run.reason}</small>}
      </span>
      {run.state === 'held' && (
        <button class="button" onClick={() => look(true).catch(tellError)}>
          They are gone
        </button>
      )}
    </li>
  );
}

/** The newest of each folder, since the others are history. */
function newest(runs: Import[]): Import[] {
  return runs.filter((run, i) => runs.findIndex((other) => other.folder === run.folder) === i);
}

function Folders({ state }: { state: Imports }) {
  return (
    <>
      <div class="title-row">
        <h1 class="page-title">Folders</h1>
        <button class="button primary" disabled={state.followed.length === 0} onClick={() => look(false).catch(tellError)}>
          Look now
        </button>
      </div>
      {state.followed.length === 0 && (
        <p class="hint">The server follows no folder: name some in [import] folders of its configuration, or run tutti import.</p>
      )}
      <ul class="plain-list" aria-label="Folders">
        {state.followed.map((folder) => (
          <li key={folder.folder}>
            <span>
              <strong>{folder.folder}</strong>
              <small>
                {noticed[folder.by]}
                {folder.reason && `: ${folder.reason}`}
              </small>
            </span>
          </li>
        ))}
      </ul>
      <ul class="plain-list" aria-label="Looks">
        {newest(state.items).map((run) => (
          <Run key={run.id} run={run} />
        ))}
      </ul>
    </>
  );
}

const kinds: [ImportFile['state'], string][] = [
  ['broken', 'Broken files'],
  ['missing', 'Missing files'],
];

function Files({ first }: { first: Page<ImportFile> }) {
  const [pages, setPages] = useState<Page<ImportFile>[]>([]);
  const all = [first, ...pages].flatMap((page) => page.items);
  const next = (pages.at(-1) ?? first).next;
  return (
    <>
      {kinds.map(([state, title]) => {
        const files = all.filter((file) => file.state === state);
        return (
          files.length > 0 && (
            <section key={state}>
              <h1 class="page-title">{title}</h1>
              <ul class="plain-list" aria-label={title}>
                {files.map((file) => (
                  <li key={file.folder + file.path}>
                    <span>
                      <strong>{file.path}</strong>
                      <small>{file.reason || file.folder}</small>
                    </span>
                  </li>
                ))}
              </ul>
            </section>
          )
        );
      })}
      {next && (
        <button class="button" onClick={() => api.importFiles(next).then((page) => setPages([...pages, page]), tellError)}>
          More
        </button>
      )}
    </>
  );
}

export function FoldersPage() {
  const state = useImports();
  const last = state?.items[0];
  const files = useResource(`files ${last?.id} ${last?.state}`, () => api.importFiles());
  return (
    <main>
      {state && <Folders state={state} />}
      <Libraries />
      {files.kind === 'failed' && <Failed {...files} />}
      {files.kind === 'there' && <Files first={files.value} />}
    </main>
  );
}
