// The states of a view that has nothing to show: loading, failed, empty.
import type { ComponentChildren } from 'preact';
import { Problem, words } from '../problem';

export function Failed({ error, retry }: { error: unknown; retry: () => void }) {
  const gone = error instanceof Problem && error.status === 404;
  return (
    <section class="empty" role="alert">
      <h1>{gone ? 'It isn’t here' : 'That didn’t work'}</h1>
      <p>{gone ? 'It may have been removed, or the link is not quite right.' : words(error)}</p>
      {gone ? (
        <a class="button" href="./">
          To the albums
        </a>
      ) : (
        <button class="button" onClick={retry}>
          Try again
        </button>
      )}
    </section>
  );
}

export function Empty({ title, children }: { title: string; children: ComponentChildren }) {
  return (
    <section class="empty">
      <h1>{title}</h1>
      {children}
    </section>
  );
}
