// An artist's page.
import { api } from '../api';
import { plural } from '../format';
import { Cover } from '../ui/cover';
import { useResource } from '../ui/resource';
import { Empty, Failed } from '../ui/states';
import { AlbumGrid, GridSkeleton } from './album_grid';
import { GiveArtist } from './give_artist';

async function load(id: string) {
  const [artist, albums, guest] = await Promise.all([api.artist(id), api.artistAlbums(id), api.albumsWithGuest(id)]);
  return { artist, albums: albums.items, guest: guest.items };
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
  const { artist, albums, guest } = page.value;
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
          <GiveArtist key={artist.id} artist={artist} />
        </div>
      </section>
      {albums.length > 0 && <AlbumGrid albums={albums} byArtist={false} />}
      {guest.length > 0 && (
        <section aria-label="Appears on">
          <h2 class="letter">Appears on</h2>
          <AlbumGrid albums={guest} />
        </section>
      )}
      {albums.length + guest.length === 0 && (
        <Empty title="No albums yet">
          <p>When {artist.name} publishes one, it appears here.</p>
        </Empty>
      )}
    </main>
  );
}
