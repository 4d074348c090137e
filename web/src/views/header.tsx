// The bar at the top: where one is, and who.
import { api } from '../api';
import { go, route } from '../router';
import { SearchBox } from '../search/search_box';
import { session } from '../session';
import { useStore, whole } from '../store';
import { tellError } from '../toasts';
import { uploadJob } from '../upload/album';
import { Icon, Logo } from '../ui/icons';
import { Menu } from '../ui/menu';

function signOut(): void {
  api.logout().catch(tellError);
}

function UploadLink({ active }: { active: boolean }) {
  const job = useStore(uploadJob, whole);
  const all = job?.items.reduce((sum, item) => sum + item.file.size, 0) ?? 0;
  const sent = job?.items.reduce((sum, item) => sum + item.sent, 0) ?? 0;
  const running = job && !job.finished && all > 0;
  return (
    <a href="upload" class={active ? 'active' : ''} aria-current={active ? 'page' : undefined}>
      <Icon name="upload" size={20} />
      <span>{running ? `Uploading ${Math.floor((100 * sent) / all)} %` : 'Upload'}</span>
    </a>
  );
}

export function Header() {
  const { name } = useStore(route, whole);
  const state = useStore(session, whole);
  const user = state.kind === 'in' ? state.user : null;
  const isHome = ['home', 'album', 'albums', 'genre'].includes(name);
  const isArtists = name === 'artists' || name === 'artist';
  return (
    <header class="top">
      <a href="./" class="brand" aria-label="Tutti, to the albums">
        <Logo />
        <span>Tutti</span>
      </a>
      <nav aria-label="Main">
        <a href="./" class={isHome ? 'active' : ''} aria-current={name === 'home' ? 'page' : undefined}>
          <Icon name="albums" size={20} />
          <span>Albums</span>
        </a>
        <a href="artists" class={isArtists ? 'active' : ''} aria-current={name === 'artists' ? 'page' : undefined}>
          <Icon name="people" size={20} />
          <span>Artists</span>
        </a>
        <a href="library" class={name === 'library' || name === 'playlist' ? 'active' : ''} aria-current={name === 'library' ? 'page' : undefined}>
          <Icon name="heart" size={20} />
          <span>Library</span>
        </a>
        <UploadLink active={name === 'upload'} />
      </nav>
      {user && <SearchBox />}
      {user && (
        <Menu
          label={`Account of ${user.username}`}
          class="account"
          button={<span class="avatar">{user.username.slice(0, 1).toUpperCase()}</span>}
          items={[
            ...(user.roles.includes('admin') ? [{ label: 'Folders and libraries', onChoose: () => go('/folders') }] : []),
            { label: 'My data', onChoose: () => go('/data') },
            { label: 'Sign out', detail: user.username, onChoose: signOut },
          ]}
        />
      )}
    </header>
  );
}
