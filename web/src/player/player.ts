// The player: what plays, and every command a person can give it. Views, keys and the system's media
// controls all call these functions; the two decks do the work.
import { api } from '../api';
import { words } from '../problem';
import { createStore } from '../store';
import { tell, tellError } from '../toasts';
import type { Id, Track } from '../types';
import type { Deck } from './deck';
import { at, continued, currentOf, emptyQueue, grown, moved, nextIndex, previousIndex, queueFrom, without, type Queue } from './queue';
import type { Choice } from './quality';
import { isGone, prefetch } from './sources';

export interface PlayerState {
  queue: Queue;
  /** Sound is wanted: true from the click on. */
  playing: boolean;
  /** Wanted, but not there yet. */
  waiting: boolean;
  position: number;
  duration: number;
  volume: number;
  muted: boolean;
  choice: Choice;
  /** The rung that sounds now, kbit/s; 0 before the first one. */
  rung: number;
}

const VOLUME = 'tutti.volume';
const QUALITY = 'tutti.quality';
/** Before its end, the next track is made ready. */
const READY_AHEAD_S = 20;
/** "Previous" goes back to the beginning after this. */
const RESTART_S = 3;
/** So many in a row that can't be played are passed over. */
const PASSED_MAX = 20;
/** Where no louder one is known: a click on "Unmute" must be heard. */
const AUDIBLE_MIN = 0.2;

function rememberedVolume(): number {
  const kept = Number(localStorage.getItem(VOLUME) ?? 0.8);
  return kept >= 0 && kept <= 1 ? kept : 0.8;
}

function rememberedChoice(): Choice {
  const kept = Number(localStorage.getItem(QUALITY));
  return kept === 96 || kept === 160 || kept === 320 ? kept : 'auto';
}

export const player = createStore<PlayerState>({
  queue: emptyQueue,
  playing: false,
  waiting: false,
  position: 0,
  duration: 0,
  volume: rememberedVolume(),
  muted: false,
  choice: rememberedChoice(),
  rung: 0,
});

let active: Deck | null = null;
let spare: Deck | null = null;
/** Raised whenever something else is to play: who waited has no say any more, also where it was for the same track. */
let turn = 0;
/** What could not be made ready; it is asked for again when its turn comes. */
let unready: Id | null = null;
/** Since there was sound: tracks passed over, and whether it was said that the server is away. */
let passed = 0;
let isLossTold = false;
/** Before it was 0. */
let lastVolume = rememberedVolume();

const set = (fields: Partial<PlayerState>) => player.update((state) => ({ ...state, ...fields }));
export const currentTrack = (): Track | null => currentOf(player.get().queue);
/** Not so of a queue that was begun elsewhere, until it is played here. */
const isLoaded = (): boolean => active !== null && active.trackId !== null && active.trackId === currentTrack()?.id;
/** For the seek bar, which moves more often than the store does. */
export const positionNow = (): number => (isLoaded() ? active!.position : player.get().position);

function newDeck(make: typeof Deck): Deck {
  const mine = (run: () => void) => () => deck === active && run();
  const deck: Deck = new make({
    time: mine(onTime),
    state: mine(() => set({ waiting: player.get().playing && deck.isSilent })),
    paused: mine(() => set({ playing: false, waiting: false })),
    ended: mine(() => void skip(1)),
    rung: mine(() => set({ rung: deck.rung })),
    lost: mine(onLoss),
    failed: (error) => (deck === active ? onFailure(error) : leaveUnready(deck)),
  });
  deck.setChoice(player.get().choice);
  return deck;
}

/** The audio elements and hls.js, ready before the first click. */
export async function openDecks(): Promise<void> {
  if (!active || !spare) {
    // hls.js is most of the app's weight: it comes after the page is drawn.
    const { Deck } = await import('./deck');
    active ??= newDeck(Deck);
    spare ??= newDeck(Deck);
    applyVolume();
  }
}

function onTime(): void {
  if (!isLoaded()) {
    return;
  }
  const { audio, position, isSilent } = active!;
  const known = (currentTrack()?.durationMs ?? 0) / 1000;
  const duration = Number.isFinite(audio.duration) && audio.duration > 0 ? audio.duration : known;
  set({ position, duration });
  if (!isSilent) {
    passed = 0;
    isLossTold = false;
  }
  if (duration > 0 && duration - position < READY_AHEAD_S) {
    readyNext();
  }
}

function onLoss(): void {
  if (player.get().playing && !isLossTold) {
    isLossTold = true;
    tell('The server doesn’t answer. The sound goes on when it does.', 'error');
  }
}

/** The place is kept for whoever tries again. What is gone for good is passed over. */
function onFailure(error: unknown): void {
  const { queue, playing } = player.get();
  const next = nextIndex(queue);
  const position = positionNow();
  active?.unload();
  if (playing && isGone(error) && next !== null && passed < PASSED_MAX) {
    passed += 1;
    tell(`${currentTrack()!.title}: ${words(error)}`, 'error');
    void playAt(next);
  } else {
    set({ playing: false, waiting: false, position });
    tellError(error);
  }
}

function leaveUnready(deck: Deck): void {
  unready = deck.trackId;
  deck.unload();
}

/** Loads a track into the spare deck: it may be wanted next. */
function poise(trackId: Id): void {
  if (trackId === spare?.trackId || trackId === unready) {
    return;
  }
  prefetch(trackId).catch(() => {});
  openDecks()
    .then(() => spare!.load(trackId))
    .catch(() => {
      unready = trackId;
    });
}

const isEnding = () => player.get().playing && player.get().duration - positionNow() < READY_AHEAD_S;

function readyNext(): void {
  const { queue } = player.get();
  const index = nextIndex(queue);
  if (index !== null) {
    poise(queue.tracks[index]!.id);
  }
}

/** Somebody is about to click on this track: everything but the click is done now. The spare deck is
 * left to the next track of the queue when that comes soon. */
export function expect(trackId: string): void {
  if (trackId !== active?.trackId && !isEnding()) {
    poise(trackId);
  }
}

/** Plays the track at which the queue stands, from `startAt` seconds. */
async function play(queue: Queue, startAt = 0): Promise<void> {
  const track = currentOf(queue);
  if (!track) {
    return;
  }
  turn += 1;
  const mine = turn;
  unready = null;
  active?.pause();
  const duration = track.durationMs / 1000;
  set({ queue, playing: true, waiting: true, position: startAt, duration, rung: 0 });
  await begin(track.id, startAt, mine).catch((error) => mine === turn && onFailure(error));
  if (queue.growing) {
    api.albumTracks(track.albumId).then((page) => growQueue(page.items), () => {});
  }
}

async function begin(trackId: Id, startAt: number, mine: number): Promise<void> {
  await openDecks();
  if (mine !== turn) {
    return;
  }
  const left = active!.trackId;
  if (spare!.trackId === trackId) {
    [active, spare] = [spare!, active!];
  }
  const deck = active!;
  const loading = deck.load(trackId, startAt);
  deck.seek(startAt); // it may have been ready at its beginning
  await loading;
  if (mine === turn) {
    set({ rung: deck.rung });
    await (player.get().playing ? deck.play() : undefined);
  }
  if (spare!.trackId === left) {
    spare!.unload();
  }
}

/** An album's tracks as they are now: those that became playable join the queue. */
export function growQueue(tracks: Track[]): void {
  player.update((state) => ({ ...state, queue: grown(state.queue, tracks) }));
}

/** Plays a list from the place chosen, or from its first track. */
export async function playTracks(tracks: Track[], chosen?: number): Promise<void> {
  const queue = queueFrom(tracks, chosen);
  if (queue.index < 0) {
    tell('Nothing here can be played yet.');
    return;
  }
  await play(queue);
}

/** More of a list that plays, from where it was cut. */
export const continueQueue = (list: Track[], more: Track[]): void => changeQueue(continued(player.get().queue, list, more));

export const playAt = (index: number): Promise<void> => play(at(player.get().queue, index));

/** A queue that was begun elsewhere stands where it was left, silent until somebody plays it. */
export function offer(tracks: Track[], index: number, position: number): void {
  turn += 1;
  active?.pause();
  active?.unload();
  const queue = { tracks, index, growing: false };
  const duration = (currentOf(queue)?.durationMs ?? 0) / 1000;
  set({ queue, playing: false, waiting: false, position, duration, rung: 0 });
}

const changeQueue = (queue: Queue) => player.update((state) => ({ ...state, queue }));
export const moveInQueue = (from: number, to: number): void => changeQueue(moved({ ...player.get().queue, growing: false }, from, to));
export const removeFromQueue = (index: number): void => changeQueue(without(player.get().queue, index));

export async function toggle(): Promise<void> {
  const { queue, playing, position } = player.get();
  if (!currentTrack()) {
    return;
  }
  if (playing) {
    set({ playing: false, waiting: false });
    active?.pause();
  } else if (isLoaded()) {
    set({ playing: true });
    await active!.play().catch(onFailure);
  } else {
    await play(queue, position);
  }
}

export const resumePlay = (): void => void (player.get().playing || toggle());
export const pausePlay = (): void => void (player.get().playing && toggle());

export async function skip(direction: 1 | -1): Promise<void> {
  const { queue } = player.get();
  if (direction < 0 && positionNow() > RESTART_S) {
    seek(0);
    return;
  }
  const index = direction > 0 ? nextIndex(queue) : previousIndex(queue);
  if (index !== null) {
    await playAt(index);
  } else if (direction < 0) {
    seek(0);
  } else {
    active?.pause();
    seek(0);
    set({ playing: false, waiting: false });
  }
}

export function seek(seconds: number): void {
  const { duration } = player.get();
  const position = Math.min(Math.max(0, seconds), Math.max(0, duration - 0.05));
  if (isLoaded()) {
    active!.seek(position);
  }
  set({ position });
}

export const seekBy = (seconds: number): void => seek(positionNow() + seconds);

/** Hearing is not linear: half of the slider should sound half as loud. */
function applyVolume(): void {
  const { volume, muted } = player.get();
  for (const deck of [active, spare]) {
    if (deck) {
      deck.audio.volume = volume * volume;
      deck.audio.muted = muted;
    }
  }
}

/** `isSettled`: not while a pointer still moves it. */
export function setVolume(volume: number, isSettled = true): void {
  const kept = Math.min(1, Math.max(0, volume));
  lastVolume = isSettled && kept > 0 ? kept : lastVolume;
  localStorage.setItem(VOLUME, String(kept));
  set({ volume: kept, muted: false });
  applyVolume();
}

export function toggleMute(): void {
  const { volume, muted } = player.get();
  if (volume === 0) {
    setVolume(Math.max(lastVolume, AUDIBLE_MIN));
  } else {
    set({ muted: !muted });
    applyVolume();
  }
}

export function setChoice(choice: Choice): void {
  localStorage.setItem(QUALITY, String(choice));
  set({ choice });
  active?.setChoice(choice);
  spare?.setChoice(choice);
}

/** Silence, and nothing left to play: when somebody signs out. */
export function stopAll(): void {
  turn += 1;
  active?.pause();
  active?.unload();
  spare?.unload();
  set({ queue: emptyQueue, playing: false, waiting: false, position: 0, duration: 0, rung: 0 });
}
