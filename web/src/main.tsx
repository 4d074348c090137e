// Where the app starts.
import { render } from 'preact';
import './styles/base.css';
import './styles/parts.css';
import './styles/pages.css';
import './styles/player.css';
import { openDecks } from './player/player';
import { startKeys } from './player/keys';
import { startMediaSession } from './player/media_session';
import { startRouter } from './router';
import { resume } from './session';
import { App } from './views/app';

startRouter();
startKeys();
startMediaSession();
void resume();
render(<App />, document.getElementById('app')!);
requestIdleCallback?.(() => void openDecks());
