// Paths and the views they mean. The server answers any unknown path with the app's page, so links
// can be shared.
import { createStore } from './store';

export type Route =
  | { name: 'home' }
  | { name: 'albums'; order: string }
  | { name: 'genre'; id: string }
  | { name: 'artists' }
  | { name: 'queue' }
  | { name: 'join'; token: string }
  | { name: 'album'; id: string }
  | { name: 'artist'; id: string }
  | { name: 'upload' }
  | { name: 'library' }
  | { name: 'folders' }
  | { name: 'data' }
  | { name: 'playlist'; id: string }
  | { name: 'shared'; token: string }
  | { name: 'lost' };

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

const patterns: [RegExp, (match: string[]) => Route][] = [
  [/^\/?$/, () => ({ name: 'home' })],
  [/^\/album\/(\d+)\/?$/, (match) => ({ name: 'album', id: match[1]! })],
  [/^\/artist\/(\d+)\/?$/, (match) => ({ name: 'artist', id: match[1]! })],
  [/^\/albums\/([a-z]+)\/?$/, (match) => ({ name: 'albums', order: match[1]! })],
  [/^\/genre\/([^/]+)\/?$/, (match) => ({ name: 'genre', id: decoded(match[1]!) })],
  [/^\/artists\/?$/, () => ({ name: 'artists' })],
  [/^\/queue\/?$/, () => ({ name: 'queue' })],
  [/^\/join\/([\w-]+)\/?$/, (match) => ({ name: 'join', token: match[1]! })],
  [/^\/upload\/?$/, () => ({ name: 'upload' })],
  [/^\/library\/?$/, () => ({ name: 'library' })],
  [/^\/folders\/?$/, () => ({ name: 'folders' })],
  [/^\/data\/?$/, () => ({ name: 'data' })],
  [/^\/playlist\/(\d+)\/?$/, (match) => ({ name: 'playlist', id: match[1]! })],
  [/^\/shared\/([\w-]+)\/?$/, (match) => ({ name: 'shared', token: match[1]! })],
];

export function parsePath(path: string): Route {
  for (const [pattern, make] of patterns) {
    const match = pattern.exec(path);
    if (match) {
      return make(match);
    }
  }
  return { name: 'lost' };
}

/** "/tutti" where the app lives under a path, else "". */
function basePath(): string {
  return new URL(document.baseURI).pathname.replace(/\/$/, '');
}

export function href(path: string): string {
  return basePath() + path;
}

const current = () => parsePath(location.pathname.slice(basePath().length));

export const route = createStore<Route>({ name: 'home' });

function show(): void {
  route.set(current());
  window.scrollTo(0, 0);
}

export function go(path: string): void {
  history.pushState(null, '', href(path));
  show();
}

/** Plain clicks on links inside the app change the view; everything else is the browser's. */
function onClick(event: MouseEvent): void {
  const link = (event.target as Element | null)?.closest?.('a');
  const plain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;
  if (!link || !plain || link.origin !== location.origin || link.target || link.download) {
    return;
  }
  const inside = link.pathname.startsWith(`${basePath()}/`);
  if (inside && !event.defaultPrevented) {
    event.preventDefault();
    go(link.pathname.slice(basePath().length));
  }
}

export function startRouter(): void {
  route.set(current());
  window.addEventListener('popstate', () => route.set(current()));
  document.addEventListener('click', onClick);
}
