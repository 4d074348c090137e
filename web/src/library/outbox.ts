// What the server is to be told, kept until it has answered: in localStorage, so that neither a closed
// tab nor a night without a network loses it. What is told is recognised there when it comes again.
import { call } from '../http';
import { isRefused } from '../problem';
import { staySignal, userId } from '../session';
import type { Id } from '../types';

/** Told in one request, and kept at most: the oldest give way. */
const AT_ONCE = 100;
const KEPT_MAX = 2000;
const AGAIN_MS = 60_000;

export interface Outbox<T> {
  /** `user`: whose it is, which need not be who is signed in by now. */
  add(user: Id, item: T): void;
  /** With `last` the page is going: the browser finishes the request by itself. */
  flush(last?: boolean): Promise<void>;
  waiting(): T[];
}

/** `field` names the list in the body of a POST to `path`. Two tabs may tell the same: that is harmless. */
export function createOutbox<T>(name: string, path: string, field: string): Outbox<T> {
  let busy = false;
  const key = (user: Id) => `tutti.${name}.${user}`;

  function read(user: Id): T[] {
    try {
      const kept: unknown = JSON.parse(localStorage.getItem(key(user)) ?? '[]');
      return Array.isArray(kept) ? (kept as T[]) : [];
    } catch {
      return [];
    }
  }

  function write(user: Id, items: T[]): void {
    try {
      localStorage.setItem(key(user), JSON.stringify(items.slice(-KEPT_MAX)));
    } catch {
      // A full or forbidden storage: what is in the air is told all the same.
    }
  }

  async function tell(user: Id, last: boolean): Promise<boolean> {
    const some = read(user).slice(0, AT_ONCE);
    if (some.length === 0) {
      return false;
    }
    try {
      await call('POST', path, { json: { [field]: some }, keepalive: last, signal: staySignal() });
    } catch (error) {
      if (!isRefused(error)) {
        return false; // later
      }
    }
    const told = new Set(some.map((item) => JSON.stringify(item)));
    write(user, read(user).filter((item) => !told.has(JSON.stringify(item))));
    return true;
  }

  const outbox: Outbox<T> = {
    add: (user, item) => write(user, [...read(user), item]),
    async flush(last = false) {
      const user = userId();
      if (!user || (busy && !last)) {
        return;
      }
      busy = true;
      try {
        while (userId() === user && (await tell(user, last))) {
          // as long as there is more
        }
      } finally {
        busy = false;
      }
    },
    waiting: () => {
      const user = userId();
      return user ? read(user) : [];
    },
  };
  addEventListener('online', () => void outbox.flush());
  setInterval(() => void outbox.flush(), AGAIN_MS);
  return outbox;
}
