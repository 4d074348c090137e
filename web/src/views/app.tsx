// The frame: the door for visitors; header, view and player for who is signed in.
import { Fragment } from 'preact';
import { session } from '../session';
import { useStore, whole } from '../store';
import { route, type Route } from '../router';
import { Logo } from '../ui/icons';
import { Empty } from '../ui/states';
import { AlbumPage } from './album';
import { ArtistPage } from './artist';
import { ArtistsPage } from './artists';
import { DataPage } from './data';
import { FoldersPage } from './folders';
import { Header } from './header';
import { GenrePage, Home } from './home';
import { LibraryPage } from './library';
import { PlayerBar } from './player_bar';
import { JoinPage, PlaylistPage, SharedPage } from './playlist';
import { QueuePage } from './queue';
import { resetToken, SignIn } from './sign_in';
import { Toasts } from './toasts';
import { UploadPage } from './upload';

function View({ at }: { at: Route }) {
  switch (at.name) {
    case 'home':
      return <Home />;
    case 'albums':
      return <Home order={at.order} />;
    case 'genre':
      return <GenrePage id={at.id} />;
    case 'queue':
      return <QueuePage />;
    case 'join':
      return <JoinPage token={at.token} />;
    case 'artists':
      return <ArtistsPage />;
    case 'album':
      return <AlbumPage id={at.id} />;
    case 'artist':
      return <ArtistPage id={at.id} />;
    case 'upload':
      return <UploadPage />;
    case 'library':
      return <LibraryPage />;
    case 'folders':
      return <FoldersPage />;
    case 'data':
      return <DataPage />;
    case 'playlist':
      return <PlaylistPage id={at.id} />;
    case 'shared':
      return <SharedPage token={at.token} />;
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

function Starting({ reachable }: { reachable: boolean }) {
  return (
    <div class="starting" aria-label="Loading">
      <div>
        <Logo size={52} />
        <p role="status">{reachable ? '' : 'The server can’t be reached. Trying again…'}</p>
      </div>
    </div>
  );
}

export function App() {
  const state = useStore(session, whole);
  const at = useStore(route, whole);
  if (state.kind === 'starting' || state.kind === 'unreachable') {
    return <Starting reachable={state.kind === 'starting'} />;
  }
  if (state.kind === 'out' && at.name === 'shared') {
    return <SharedPage token={at.token} />;
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
    <Fragment key={state.user.id}>
      <Header />
      <View at={at} />
      <PlayerBar />
      <Toasts />
    </Fragment>
  );
}
