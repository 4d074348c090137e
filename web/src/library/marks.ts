// Favourites and ratings of the person, on all devices: what is marked here is told with its time, so that devices
// which were offline merge; what others marked is fetched since the last revision seen.
import { api } from '../api';
import { onUserChange, userId } from '../session';
import { createStore } from '../store';
import type { Id, MarkChange } from '../types';
import { createOutbox } from './outbox';

export type Kind = 'track' | 'album';

const outbox = createOutbox<MarkChange>('changes', 'me/changes', 'changes');
type What = MarkChange['what'];
const nameOf = (what: What, kind: string, id: Id) => `${what}:${kind}:${id}`;

/** What holds: "favourite:track:17" is 1, "rating:album:4" is 1 to 5. */
export const marks = createStore<ReadonlyMap<string, number>>(new Map());
let revision = 0;

function apply(changes: MarkChange[]): void {
  marks.update((held) => {
    const next = new Map(held);
    for (const { what, kind, id, value } of changes) {
      next.set(nameOf(what, kind, id), value);
    }
    return next;
  });
}

/** What changed elsewhere; what is not told yet holds over it. */
export async function syncMarks(): Promise<void> {
  const user = userId();
  if (!user) {
    return;
  }
  await outbox.flush();
  for (let more = true; more; ) {
    const page = await api.changes(revision);
    if (userId() !== user) {
      return;
    }
    apply(page.items);
    ({ revision, more } = page);
  }
  apply(outbox.waiting());
}

/** 0: none. */
export const markOf = (what: What, kind: Kind, id: Id): number => marks.get().get(nameOf(what, kind, id)) ?? 0;

/** 0 takes it away. */
export function mark(what: What, kind: Kind, id: Id, value: number): void {
  const user = userId();
  if (!user) {
    return;
  }
  const change: MarkChange = { what, kind, id, value, at: Date.now(), device: 'web' };
  apply([change]);
  outbox.add(user, change);
  void outbox.flush();
}

export function startMarks(): void {
  onUserChange(() => {
    revision = 0;
    marks.set(new Map());
    syncMarks().catch(() => {});
  });
  document.addEventListener('visibilitychange', () => {
    if (!document.hidden) {
      syncMarks().catch(() => {});
    }
  });
}
