// The bar at the top: where one is, and who.
import { api } from '../api';
import { route } from '../router';
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
  const isHome = name === 'home' || name === 'album';
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
        <UploadLink active={name === 'upload'} />
      </nav>
      {user && (
        <Menu
          label={`Account of ${user.username}`}
          class="account"
          button={<span class="avatar">{user.username.slice(0, 1).toUpperCase()}</span>}
          items={[{ label: 'Sign out', detail: user.username, onChoose: signOut }]}
        />
      )}
    </header>
  );
}
