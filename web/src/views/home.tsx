// All albums, newest first; more come as one scrolls.
import { useEffect, useRef, useState } from 'preact/hooks';
import { api } from '../api';
import { session } from '../session';
import { useStore, whole } from '../store';
import { tellError } from '../toasts';
import type { Album, Page } from '../types';
import { useResource } from '../ui/resource';
import { Empty, Failed } from '../ui/states';
import { AlbumGrid, GridSkeleton } from './album_grid';

function NoMusic() {
  const state = useStore(session, whole);
  const isArtist = state.kind === 'in' && state.user.roles.includes('artist');
  return (
    <Empty title="No music here yet">
      <p>{isArtist ? 'Drop a folder of music and it plays a minute later.' : 'Albums appear here as soon as somebody uploads one. It might be you.'}</p>
      <a class="button primary" href="upload">
        Upload an album
      </a>
    </Empty>
  );
}

function More({ page }: { page: Page<Album> }) {
  const [pages, setPages] = useState<Page<Album>[]>([]);
  const [busy, setBusy] = useState(false);
  const end = useRef<HTMLDivElement>(null);
  const last = pages.at(-1) ?? page;

  async function load(cursor: string): Promise<void> {
    setBusy(true);
    await api.albums(cursor).then((next) => setPages([...pages, next]), tellError);
    setBusy(false);
  }

  useEffect(() => {
    if (!end.current || !last.next || busy) {
      return undefined;
    }
    const watcher = new IntersectionObserver(
      ([entry]) => entry?.isIntersecting && void load(last.next!),
      { rootMargin: '600px' },
    );
    watcher.observe(end.current);
    return () => watcher.disconnect();
  }, [last, busy]);

  return (
    <>
      <AlbumGrid albums={[page, ...pages].flatMap((p) => p.items)} />
      <div ref={end} />
    </>
  );
}

export function Home() {
  const first = useResource('home', () => api.albums());
  return (
    <main>
      {first.kind === 'failed' && <Failed {...first} />}
      {first.kind === 'pending' && (
        <>
          <h1 class="page-title">Albums</h1>
          <GridSkeleton />
        </>
      )}
      {first.kind === 'there' && first.value.items.length === 0 && <NoMusic />}
      {first.kind === 'there' && first.value.items.length > 0 && (
        <>
          <h1 class="page-title">Albums</h1>
          <More page={first.value} />
        </>
      )}
    </main>
  );
}
