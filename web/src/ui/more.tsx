// A list that comes in pages: the next one is fetched as its end comes near.
import type { ComponentChildren } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { tellError } from '../toasts';
import type { Page } from '../types';

interface EndProps {
  /** Where the next page begins; null: the list ended. */
  next: string | null;
  load: (cursor: string) => Promise<unknown>;
}

/** Stands behind what is there of a list, and asks for the next page before it is seen. */
export function End({ next, load }: EndProps) {
  const [busy, setBusy] = useState(false);
  const [failed, setFailed] = useState(false);
  const end = useRef<HTMLDivElement>(null);

  async function more(cursor: string): Promise<void> {
    setBusy(true);
    await load(cursor).catch((error: unknown) => {
      setFailed(true);
      tellError(error);
    });
    setBusy(false);
  }

  useEffect(() => {
    if (!end.current || !next || busy || failed) {
      return undefined;
    }
    const watcher = new IntersectionObserver(([entry]) => entry?.isIntersecting && void more(next), { rootMargin: '600px' });
    watcher.observe(end.current);
    return () => watcher.disconnect();
  }, [next, busy, failed]);

  return (
    <div ref={end}>
      {failed && (
        <button class="button" onClick={() => setFailed(false)}>
          More
        </button>
      )}
    </div>
  );
}

interface MoreProps<T> {
  first: Page<T>;
  load: (cursor: string) => Promise<Page<T>>;
  children: (items: T[]) => ComponentChildren;
}

export function More<T>({ first, load, children }: MoreProps<T>) {
  const [pages, setPages] = useState<Page<T>[]>([]);
  const last = pages.at(-1) ?? first;
  return (
    <>
      {children([first, ...pages].flatMap((page) => page.items))}
      <End next={last.next} load={(cursor) => load(cursor).then((page) => setPages([...pages, page]))} />
    </>
  );
}
