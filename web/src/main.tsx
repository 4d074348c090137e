// Where the app starts.
import { render } from 'preact';
import './styles/base.css';
import './styles/parts.css';
import './styles/pages.css';
import './styles/player.css';
import { openDecks, stopAll } from './player/player';
import { startKeys } from './player/keys';
import { startMediaSession } from './player/media_session';
import { startMarks } from './library/marks';
import { startPlaying } from './library/playing';
import { startKeptQueue } from './library/kept_queue';
import { startPlays } from './library/plays';
import { startRouter } from './router';
import { onUserChange, resume } from './session';
import { App } from './views/app';

startRouter();
startKeys();
startMediaSession();
startPlays();
startMarks();
startPlaying();
startKeptQueue();
// Signed out, here or in another tab: nothing goes on playing.
onUserChange(stopAll);
void resume();
render(<App />, document.getElementById('app')!);
requestIdleCallback?.(() => void openDecks());
