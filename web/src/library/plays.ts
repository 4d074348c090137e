// Tells the server what was played: when a track ends or is left, and at the latest when the page goes.
import { currentTrack, player } from '../player/player';
import { route } from '../router';
import { session, userId } from '../session';
import type { Id } from '../types';
import { Meter, type Heard } from './meter';
import { createOutbox } from './outbox';

interface PlayEvent extends Heard {
  id: string;
  source: 'album' | 'playlist' | 'favourites' | 'other';
  sourceId?: Id;
}

/** The page on which the track was begun. */
function sourceNow(): Pick<PlayEvent, 'source' | 'sourceId'> {
  const at = route.get();
  return at.name === 'album' || at.name === 'playlist'
    ? { source: at.name, sourceId: at.id }
    : { source: at.name === 'library' ? 'favourites' : 'other' };
}

const outbox = createOutbox<PlayEvent>('plays', 'plays', 'events');
const meter = new Meter();
let track: Id | null = null;
let source = sourceNow();
/** Who began it: signing out ends a play, too. */
let listener = userId();

function keep(heard: Heard | null): void {
  if (heard && listener) {
    outbox.add(listener, { ...heard, id: crypto.randomUUID?.() ?? `${Date.now()}-${Math.random().toString(36).slice(2)}`, ...source });
  }
}

function onPlayer(): void {
  const { position, duration } = player.get();
  const now = currentTrack()?.id ?? null;
  const ended = meter.step(now, position, duration, Date.now());
  if (ended) {
    keep(ended);
    void outbox.flush();
  }
  if (now !== track) {
    track = now;
    source = sourceNow();
    listener = userId();
  }
}

function onHide(): void {
  keep(meter.end());
  void outbox.flush(true);
}

export function startPlays(): void {
  player.subscribe(onPlayer);
  addEventListener('pagehide', onHide);
  session.subscribe(() => void outbox.flush());
}
