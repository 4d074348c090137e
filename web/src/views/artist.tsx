// An artist's page.
import { api } from '../api';
import { plural } from '../format';
import { Cover } from '../ui/cover';
import { useResource } from '../ui/resource';
import { Empty, Failed } from '../ui/states';
import { AlbumGrid, GridSkeleton } from './album_grid';

async function load(id: string) {
  const [artist, albums] = await Promise.all([api.artist(id), api.artistAlbums(id)]);
  return { artist, albums: albums.items };
}

export function ArtistPage({ id }: { id: string }) {
  const page = useResource(`artist-${id}`, () => load(id));
  if (page.kind === 'failed') {
    return (
      <main>
        <Failed {...page} />
      </main>
    );
  }
  if (page.kind === 'pending') {
    return (
      <main>
        <GridSkeleton />
      </main>
    );
  }
  const { artist, albums } = page.value;
  return (
    <main>
      <section class="hero">
        <div class="hero-cover">
          <Cover id={artist.id} artId={artist.imageArtId} title={artist.name} size={300} round eager />
        </div>
        <div class="hero-text">
          <p class="kind">Artist</p>
          <h1>{artist.name}</h1>
          <p class="hero-note">{plural(albums.length, 'album')}</p>
          {artist.bio && <p class="bio">{artist.bio}</p>}
        </div>
      </section>
      {albums.length > 0 ? (
        <AlbumGrid albums={albums} byArtist={false} />
      ) : (
        <Empty title="No albums yet">
          <p>When {artist.name} publishes one, it appears here.</p>
        </Empty>
      )}
    </main>
  );
}
