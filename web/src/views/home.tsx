// All albums, in the order one likes to browse by; more come as one scrolls.
import { useState } from 'preact/hooks';
import { api, type AlbumQuery } from '../api';
import { plural } from '../format';
import { session } from '../session';
import { useStore, whole } from '../store';
import type { Album, Page } from '../types';
import { More } from '../ui/more';
import { useResource } from '../ui/resource';
import { Empty, Failed } from '../ui/states';
import { AlbumGrid, GridSkeleton } from './album_grid';

interface Order {
  name: string;
  /** Of the address; "" is the first page of all. */
  path: string;
  load: (seed: number, cursor?: string) => Promise<Page<Album>>;
  /** What to do about it where there is nothing. */
  empty: string;
}

const ofAll = (query: AlbumQuery) => (_seed: number, cursor?: string) => api.albums(query, cursor);

/** Albums of a person's own list; those that are no more are passed over. */
function own(list: 'played' | 'favourites' | 'ratings', sort?: string) {
  return async (_seed: number, cursor?: string): Promise<Page<Album>> => {
    const page = await api.ownAlbums(list, sort, cursor);
    return { items: page.items.flatMap(({ album }) => (album ? [album] : [])), next: page.next };
  };
}

const PLAYED = 'Albums appear here a little after you have heard something of them.';
const ORDERS: Order[] = [
  { name: 'Newest', path: '', load: ofAll({}), empty: '' },
  { name: 'Last played', path: 'recent', load: own('played', 'recent'), empty: PLAYED },
  { name: 'Most played', path: 'frequent', load: own('played', 'frequent'), empty: PLAYED },
  { name: 'Random', path: 'random', load: (seed, cursor) => api.albums({ sort: 'random', seed }, cursor), empty: '' },
  { name: 'By title', path: 'title', load: ofAll({ sort: 'title' }), empty: '' },
  { name: 'By year', path: 'year', load: ofAll({ sort: 'year', order: 'desc' }), empty: 'No album says when it is from.' },
  { name: 'Favourites', path: 'favourites', load: own('favourites'), empty: 'The heart on an album’s page keeps it here.' },
  { name: 'Highest rated', path: 'rated', load: own('ratings', 'rating'), empty: 'The stars on an album’s page rate it.' },
];

function Orders({ at }: { at: string }) {
  return (
    <nav class="orders" aria-label="Orders of albums">
      {ORDERS.map(({ name, path }) => (
        <a key={path} href={path ? `albums/${path}` : './'} aria-current={path === at ? 'page' : undefined}>
          {name}
        </a>
      ))}
      <a href="albums/genres" aria-current={at === 'genres' ? 'page' : undefined}>
        Genres
      </a>
    </nav>
  );
}

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

interface ListProps {
  id: string;
  load: (cursor?: string) => Promise<Page<Album>>;
  empty: string;
}

function Albums({ id, load, empty }: ListProps) {
  const first = useResource(id, () => load());
  if (first.kind === 'failed') {
    return <Failed {...first} />;
  }
  if (first.kind === 'pending') {
    return <GridSkeleton />;
  }
  if (first.value.items.length === 0 && !first.value.next) {
    return empty ? <p class="hint">{empty}</p> : <NoMusic />;
  }
  return (
    <More key={id} first={first.value} load={load}>
      {(albums) => <AlbumGrid albums={albums} />}
    </More>
  );
}

function Genres() {
  const genres = useResource('genres', api.genres);
  if (genres.kind !== 'there') {
    return genres.kind === 'failed' ? <Failed {...genres} /> : <p aria-busy="true" />;
  }
  return (
    <>
      <ul class="playlists" aria-label="Genres">
        {genres.value.items.map(({ id, name, albumCount }) => (
          <li key={id}>
            <a href={`genre/${encodeURIComponent(id)}`}>
              <strong>{name}</strong>
              <small>{plural(albumCount, 'album')}</small>
            </a>
          </li>
        ))}
      </ul>
      {genres.value.items.length === 0 && <p class="hint">No album has a genre.</p>}
    </>
  );
}

export function Home({ order = '' }: { order?: string }) {
  const [seed] = useState(() => Math.floor(Math.random() * 2 ** 31));
  const chosen = ORDERS.find(({ path }) => path === order);
  return (
    <main>
      <h1 class="page-title">Albums</h1>
      <Orders at={order} />
      {order === 'genres' && <Genres />}
      {chosen && <Albums id={`albums-${order}`} load={(cursor) => chosen.load(seed, cursor)} empty={chosen.empty} />}
      {!chosen && order !== 'genres' && <p class="hint">Albums are not listed that way.</p>}
    </main>
  );
}

export function GenrePage({ id }: { id: string }) {
  return (
    <main>
      <h1 class="page-title">{id}</h1>
      <Orders at="genres" />
      <Albums id={`genre-${id}`} load={(cursor) => api.albums({ genre: id, sort: 'title' }, cursor)} empty="No album has this genre." />
    </main>
  );
}
