// Who is signed in. The access token lives in memory only; the refresh token is a cookie that
// scripts can't read. One refresh at a time, over all tabs: a Web Lock serialises them, and a
// BroadcastChannel hands the new token to the others. A message may be late, so a tab whose turn it is
// looks at the locks first, which all tabs see in one order: whoever has a token holds one that names it.
import { backoff, pause } from './backoff';
import { Problem, waitAsked } from './problem';
import { createStore } from './store';
import type { Id, Role, Session, User } from './types';

export type SessionState =
  | { kind: 'starting' }
  /** Still starting: who it is can't be asked, and is tried again. */
  | { kind: 'unreachable' }
  | { kind: 'out' }
  | { kind: 'in'; user: User };

export const session = createStore<SessionState>({ kind: 'starting' });

/** Who is signed in; null: nobody, as far as is known. */
export function userId(): Id | null {
  const state = session.get();
  return state.kind === 'in' ? state.user.id : null;
}

/** Calls `changed` whenever it is somebody else who is signed in, or nobody any more: what a module holds of one person is
 * not to meet the next one. */
export function onUserChange(changed: () => void): void {
  let user = userId();
  session.subscribe(() => {
    if (userId() !== user) {
      user = userId();
      changed();
    }
  });
}

let stay = new AbortController();
onUserChange(() => {
  stay.abort();
  stay = new AbortController();
});

/** Ends with the session of who is signed in now: for what must not be told in the next one's name. */
export const staySignal = (): AbortSignal => stay.signal;

interface Token {
  value: string;
  expiresAt: number;
}

type Message = { kind: 'token'; token: Token; user: User } | { kind: 'want' } | { kind: 'out' };

/** Set while a cookie may exist, so that a newcomer's first visit asks for nothing. */
const HINT = 'tutti.signedIn';
const TURN = 'tutti.refresh';
/** Of the lock of who has a token; the token's end follows. */
const SHOWN = 'tutti.token.';
/** So long another tab is given to hand its token over; a frozen one never does. */
const ANSWER_MS = 5000;
const EARLY_MS = 30_000;

let token: Token | null = null;
let refreshing: Promise<void> | null = null;
let channel: BroadcastChannel | null = null;
/** Others see our token. */
let shown: Promise<void> = Promise.resolve();
let hide = () => {};
/** A newer token has been handed over. */
let handed = () => {};

function onMessage({ data }: MessageEvent<Message>): void {
  if (data.kind === 'out') {
    forget();
    handed();
  } else if (data.kind === 'want') {
    const current = session.get();
    if (token && current.kind === 'in') {
      channel?.postMessage({ kind: 'token', token, user: current.user } satisfies Message);
    }
  } else if (!token || data.token.expiresAt > token.expiresAt) {
    keep(data.token);
    session.set({ kind: 'in', user: data.user });
    handed();
  }
}

function keep(fresh: Token): void {
  token = fresh;
  hide();
  const hidden = new Promise<void>((resolve) => {
    hide = resolve;
  });
  shown = new Promise((resolve) => {
    if (!navigator.locks) {
      resolve();
      return;
    }
    void navigator.locks.request(`${SHOWN}${fresh.expiresAt}`, { mode: 'shared' }, () => {
      resolve();
      return hidden;
    });
  });
}

/** The end of the newest token that a tab shows; 0 when none does. */
async function newestShown(): Promise<number> {
  const held = (await navigator.locks?.query())?.held ?? [];
  return Math.max(0, ...held.map(({ name }) => (name?.startsWith(SHOWN) ? Number(name.slice(SHOWN.length)) : 0)));
}

/** Lets another tab hand its token over, if that is newer than ours. */
async function beHanded(): Promise<void> {
  if ((await newestShown()) <= Math.max(token?.expiresAt ?? 0, Date.now() + EARLY_MS)) {
    return;
  }
  const arrived = new Promise<void>((resolve) => {
    handed = resolve;
  });
  channel?.postMessage({ kind: 'want' } satisfies Message);
  await Promise.race([arrived, pause(ANSWER_MS)]);
}

function forget(): void {
  token = null;
  hide();
  localStorage.removeItem(HINT);
  session.set({ kind: 'out' });
}

/** Takes over what register, log-in, set-up, refresh and "become an artist" answer. The last one names
 * no user: it is the one we know, with `newRoles` besides. */
export function adopt(answer: Session, newRoles: Role[] = []): void {
  const current = session.get();
  const known = answer.user ?? (current.kind === 'in' ? current.user : null);
  if (!known) {
    throw new Error('The server named no user.');
  }
  const user = { ...known, roles: [...new Set([...known.roles, ...newRoles])] };
  const fresh = { value: answer.accessToken, expiresAt: Date.now() + answer.expiresIn * 1000 };
  keep(fresh);
  localStorage.setItem(HINT, '1');
  session.set({ kind: 'in', user });
  channel?.postMessage({ kind: 'token', token: fresh, user } satisfies Message);
}

export function endSession(): void {
  forget();
  channel?.postMessage({ kind: 'out' } satisfies Message);
}

async function askForToken(): Promise<void> {
  const response = await fetch(new URL('api/v1/auth/refresh', document.baseURI), {
    method: 'POST',
    credentials: 'same-origin',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ cookie: true }),
  });
  if (!response.ok) {
    throw await Problem.from(response);
  }
  adopt((await response.json()) as Session);
  await shown;
}

/** Runs alone among all tabs, where the browser can promise that. */
async function alone(run: () => Promise<void>): Promise<void> {
  await (navigator.locks ? navigator.locks.request(TURN, run) : run());
}

const isReplaced = (stale: string | null) =>
  token !== null && token.value !== stale && token.expiresAt - EARLY_MS > Date.now();

/** Replaces `stale`, unless this or another tab has done so meanwhile. */
export function refresh(stale: string | null): Promise<void> {
  refreshing ??= alone(async () => {
    await beHanded();
    if (isReplaced(stale)) {
      return;
    }
    try {
      await askForToken();
    } catch (error) {
      if (error instanceof Problem && error.status < 500 && error.status !== 429) {
        forget();
      }
      throw error;
    }
  }).finally(() => {
    refreshing = null;
  });
  return refreshing;
}

/** A token that is good for the next moments, or null for a visitor. */
export async function accessToken(): Promise<string | null> {
  if (token && token.expiresAt - EARLY_MS < Date.now()) {
    await refresh(token.value);
  }
  return token?.value ?? null;
}

const isKnown = () => session.get().kind === 'in' || session.get().kind === 'out';

/** At the start of the page: signed in already? A server that can't be reached hasn't said no: it is asked again. */
export async function resume(): Promise<void> {
  channel = new BroadcastChannel('tutti.session');
  channel.addEventListener('message', onMessage);
  if (!localStorage.getItem(HINT)) {
    session.set({ kind: 'out' });
    return;
  }
  for (let attempt = 1; !isKnown(); attempt += 1) {
    await refresh(null).catch(async (error: unknown) => {
      if (!isKnown()) {
        session.set({ kind: 'unreachable' });
        await pause(Math.max(waitAsked(error), backoff(attempt)));
      }
    });
  }
}
