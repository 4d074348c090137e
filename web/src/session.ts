// Who is signed in. The access token lives in memory only; the refresh token is a cookie that
// scripts can't read. One refresh at a time, over all tabs: a Web Lock serialises them, and a
// BroadcastChannel hands the new token to the others.
import { pause } from './backoff';
import { Problem } from './problem';
import { createStore } from './store';
import type { Role, Session, User } from './types';

export type SessionState =
  | { kind: 'starting' }
  | { kind: 'out' }
  | { kind: 'in'; user: User };

export const session = createStore<SessionState>({ kind: 'starting' });

interface Token {
  value: string;
  expiresAt: number;
}

type Message = { kind: 'token'; token: Token; user: User } | { kind: 'out' };

/** Set while a cookie may exist, so that a newcomer's first visit asks for nothing. */
const HINT = 'tutti.signedIn';
/** So long the lock is kept after a token came: its message reaches the other tabs before their turn does. */
const HAND_OVER_MS = 400;
const EARLY_MS = 30_000;

let token: Token | null = null;
let refreshing: Promise<void> | null = null;
let channel: BroadcastChannel | null = null;

function onMessage({ data }: MessageEvent<Message>): void {
  if (data.kind === 'out') {
    forget();
  } else {
    token = data.token;
    session.set({ kind: 'in', user: data.user });
  }
}

function forget(): void {
  token = null;
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
  token = { value: answer.accessToken, expiresAt: Date.now() + answer.expiresIn * 1000 };
  localStorage.setItem(HINT, '1');
  session.set({ kind: 'in', user });
  channel?.postMessage({ kind: 'token', token, user } satisfies Message);
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
}

/** Runs alone among all tabs, where the browser can promise that. */
function alone(run: () => Promise<void>): Promise<void> {
  if (!navigator.locks) {
    return run();
  }
  return new Promise((resolve, reject) => {
    void navigator.locks.request('tutti.refresh', async () => {
      await run().then(resolve, reject);
      await pause(HAND_OVER_MS);
    });
  });
}

const isReplaced = (stale: string | null) =>
  token !== null && token.value !== stale && token.expiresAt - EARLY_MS > Date.now();

/** Replaces `stale`, unless this or another tab has done so meanwhile. */
export function refresh(stale: string | null): Promise<void> {
  refreshing ??= alone(async () => {
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

/** At the start of the page: signed in already? */
export async function resume(): Promise<void> {
  channel = new BroadcastChannel('tutti.session');
  channel.addEventListener('message', onMessage);
  if (!localStorage.getItem(HINT)) {
    session.set({ kind: 'out' });
    return;
  }
  await refresh(null).catch(() => {
    if (session.get().kind === 'starting') {
      session.set({ kind: 'out' });
    }
  });
}
