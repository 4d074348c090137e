// The frame: the door for visitors; header, view and player for who is signed in.
import { session } from '../session';
import { useStore, whole } from '../store';
import { route, type Route } from '../router';
import { Logo } from '../ui/icons';
import { Empty } from '../ui/states';
import { AlbumPage } from './album';
import { ArtistPage } from './artist';
import { Header } from './header';
import { Home } from './home';
import { PlayerBar } from './player_bar';
import { resetToken, SignIn } from './sign_in';
import { Toasts } from './toasts';
import { UploadPage } from './upload';

function View({ at }: { at: Route }) {
  switch (at.name) {
    case 'home':
      return <Home />;
    case 'album':
      return <AlbumPage id={at.id} />;
    case 'artist':
      return <ArtistPage id={at.id} />;
    case 'upload':
      return <UploadPage />;
    case 'lost':
      return (
        <main>
          <Empty title="There is nothing at this address">
            <a class="button" href="./">
              To the albums
            </a>
          </Empty>
        </main>
      );
  }
}

export function App() {
  const state = useStore(session, whole);
  const at = useStore(route, whole);
  if (state.kind === 'starting') {
    return (
      <div class="starting" aria-label="Loading">
        <Logo size={52} />
      </div>
    );
  }
  if (state.kind === 'out' || resetToken()) {
    return (
      <>
        <SignIn />
        <Toasts />
      </>
    );
  }
  return (
    <>
      <Header />
      <View at={at} />
      <PlayerBar />
      <Toasts />
    </>
  );
}
