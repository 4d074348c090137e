// The queue and the place in it, one for all devices of a person. What changes here is told with its time, at once or,
// where there is no line, later, so that devices which were offline merge as the server says (the later one holds, a list
// and the place in it each on their own). What holds is taken over wherever nothing plays: the next device stands where
// the last one was left.
import { api } from '../api';
import { isRefused } from '../problem';
import { offer, player, positionNow } from '../player/player';
import { QUEUE_MAX } from '../player/queue';
import { onUserChange, staySignal, userId } from '../session';
import type { HeldQueue, Id, QueueChange, Track } from '../types';

interface Unsent {
  list: QueueChange | null;
  /** In that list, or without one in that of its itemsAt. */
  place: QueueChange | null;
}

/** While it plays the place is told this often, besides at every stop. */
const EVERY_S = 15;
const AGAIN_MS = 60_000;
const nothing: Unsent = { list: null, place: null };

let user: Id | null = null;
/** The list that the player has, as it was told or taken over, and its time on the server; 0: none has it yet. */
let list: Track[] | null = null;
let itemsAt = 0;
let place = { index: -1, position: 0, playing: false };
/** What the server was last seen to hold. */
let held = { itemsAt: 0, placeAt: 0 };
let busy = false;
let looking: Promise<void> | null = null;

/** Of two changes in one millisecond the name decides: each browser has its own. */
function device(): string {
  const kept = localStorage.getItem('tutti.device') ?? `web-${Math.random().toString(36).slice(2, 10)}`;
  localStorage.setItem('tutti.device', kept);
  return kept;
}

const key = () => `tutti.queue.${user}`;

function unsent(): Unsent {
  try {
    return { ...nothing, ...(JSON.parse(localStorage.getItem(key()) ?? '{}') as Partial<Unsent>) };
  } catch {
    return nothing;
  }
}

function keep(next: Unsent): void {
  try {
    localStorage.setItem(key(), JSON.stringify(next));
  } catch {
    // A full or forbidden storage: the next change is told all the same.
  }
}

/** Later than all that was seen, also where this clock is late. */
const now = () => Math.max(Date.now(), held.itemsAt + 1, held.placeAt + 1);

/** As the sound is, which the player tells four times a second, a hidden tab's once. */
function placeNow(): QueueChange {
  const { queue, playing } = player.get();
  const position = positionNow();
  place = { index: queue.index, position, playing };
  return { index: Math.min(queue.index, QUEUE_MAX - 1), positionMs: Math.round(position * 1000), at: now() };
}

function noteList(tracks: Track[]): void {
  list = tracks;
  itemsAt = 0;
  keep({ list: { trackIds: tracks.slice(0, QUEUE_MAX).map(({ id }) => id), ...placeNow() }, place: null });
}

function notePlace(): void {
  keep({ ...unsent(), place: { ...placeNow(), itemsAt } });
}

function onPlayer(): void {
  const { queue, playing, waiting, position } = player.get();
  if (!user || queue.index < 0) {
    return;
  }
  const begins = playing && !place.playing;
  if (queue.tracks !== list || (begins && itemsAt !== held.itemsAt && !unsent().list)) {
    noteList(queue.tracks);
  } else if (queue.index !== place.index || playing !== place.playing) {
    notePlace();
  } else if (!waiting && Math.abs(position - place.position) >= EVERY_S) {
    notePlace();
  } else {
    return;
  }
  void flush();
}

const isSame = (ids: Id[], others: Id[]) => ids.length === others.length && ids.every((id, i) => id === others[i]);

/** After an answer: what was told is not unsent any more, and a place in the list is one in what the server made of it. */
function settle(told: QueueChange, answer: HeldQueue | null): void {
  const left = unsent();
  if (left.list && left.list.at === told.at) {
    const taken = answer && isSame(answer.trackIds, told.trackIds!);
    itemsAt = taken ? answer.itemsAt : itemsAt;
    keep({ list: null, place: taken && left.place ? { ...left.place, itemsAt } : null });
  } else if (left.place && left.place.at === told.at) {
    keep({ ...left, place: null });
  }
}

async function tell(last: boolean): Promise<boolean> {
  const waiting = unsent();
  const change = waiting.list ?? waiting.place;
  if (!change) {
    return false;
  }
  const by = user;
  const answer = await api.putQueue({ ...change, device: device() }, last, staySignal()).catch((error: unknown) => {
    if (!isRefused(error)) {
      throw error; // later
    }
    return null;
  });
  if (user !== by) {
    return false;
  }
  settle(change, answer);
  if (answer) {
    await follow(answer);
  }
  return true;
}

async function flush(last = false): Promise<void> {
  if (!user || (busy && !last)) {
    return;
  }
  busy = true;
  try {
    while (await tell(last)) {
      // as long as there is more
    }
  } catch {
    // There is no line: when there is one again.
  } finally {
    busy = false;
  }
}

/** All tracks of a list: an answer describes some. null: not here any more. */
async function described(queue: HeldQueue): Promise<(Track | null)[]> {
  const tracks: (Track | null)[] = new Array<null>(queue.trackIds.length).fill(null);
  const put = ({ tracksFrom, tracks: some }: HeldQueue) => tracks.splice(tracksFrom, some.length, ...some);
  const whole = queue.tracks.length === tracks.length;
  put(queue);
  for (let from = 0; !whole && from < tracks.length; ) {
    const page = await api.queue(from);
    if (page.itemsAt !== queue.itemsAt || page.tracks.length === 0) {
      break; // another list by now: its news is on the way
    }
    put(page);
    from += page.tracks.length;
  }
  return tracks;
}

/** Takes over what the server holds, unless something plays here or is to be told. */
async function follow(queue: HeldQueue): Promise<void> {
  const isNews = queue.itemsAt !== itemsAt || (queue.placeAt > held.placeAt && queue.placeDevice !== device());
  held = { itemsAt: queue.itemsAt, placeAt: queue.placeAt };
  const before = player.get().queue;
  const isFree = () => {
    const { list: newer, place: moved } = unsent();
    return !player.get().playing && player.get().queue === before && !newer && !moved;
  };
  if (!isNews || queue.trackIds.length === 0 || !isFree()) {
    return;
  }
  const by = user;
  const all = queue.itemsAt === itemsAt && list ? list : await described(queue);
  const tracks = all.filter((track): track is Track => track?.status === 'ready');
  if (user !== by || !isFree() || tracks.length === 0) {
    return;
  }
  const whole = tracks.length === all.length;
  const there = all[queue.index]?.status === 'ready';
  const index = all.slice(0, queue.index).filter((track) => track?.status === 'ready').length;
  list = whole && all === list ? list : tracks;
  itemsAt = whole ? queue.itemsAt : 0; // else it is another list, as soon as it plays
  place = { index: Math.min(index, tracks.length - 1), position: there ? queue.positionMs / 1000 : 0, playing: false };
  offer(list, place.index, place.position);
}

async function sync(): Promise<void> {
  await flush();
  const by = user;
  if (by && !player.get().playing) {
    const queue = await api.queue();
    if (user === by) {
      await follow(queue);
    }
  }
}

/** Several events tell of one return to the page. */
function look(): void {
  const mine = (looking ??= sync().catch(() => {}));
  void mine.then(() => {
    looking = looking === mine ? null : looking;
  });
}

function onUser(): void {
  user = userId();
  list = null;
  itemsAt = 0;
  place = { index: -1, position: 0, playing: false };
  held = { itemsAt: 0, placeAt: 0 };
  looking = null;
  look();
}

function onHide(): void {
  if (user && list && positionNow() !== place.position) {
    notePlace();
  }
  void flush(true);
}

export function startKeptQueue(): void {
  player.subscribe(onPlayer);
  onUserChange(onUser);
  addEventListener('pagehide', onHide);
  addEventListener('online', look);
  addEventListener('focus', look);
  document.addEventListener('visibilitychange', () => (document.hidden ? onHide() : look()));
  setInterval(() => void flush(), AGAIN_MS);
}
