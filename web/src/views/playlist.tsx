// A playlist's page, for its members; and what strangers see of a shared one.
import { useEffect, useRef, useState } from 'preact/hooks';
import { api } from '../api';
import { clock, plural } from '../format';
import { continueQueue, playTracks } from '../player/player';
import { QUEUE_MAX } from '../player/queue';
import { go, href } from '../router';
import { session } from '../session';
import { useStore, whole } from '../store';
import { tell, tellError } from '../toasts';
import type { ListFormat, Page, Playlist, Track } from '../types';
import { Icon, Logo } from '../ui/icons';
import { Menu } from '../ui/menu';
import { End, More } from '../ui/more';
import { Mosaic } from '../ui/mosaic';
import { Mover } from '../ui/mover';
import { useResource } from '../ui/resource';
import { saveFile } from '../ui/save';
import { Empty, Failed } from '../ui/states';
import { TitleForm } from '../ui/title_form';
import { playlists } from './add_to_playlist';
import { TrackList } from './track_list';

/** A smart one has as many as fit when it is read. */
export function size({ itemCount }: { itemCount: number | null }): string {
  return itemCount === null ? 'smart' : plural(itemCount, 'track');
}

interface Item {
  id: string;
  track: Track;
}

async function loadItems(id: string, cursor?: string): Promise<Page<Item>> {
  const page = await api.playlistItems(id, cursor);
  return { items: page.items.flatMap(({ id: item, track }) => (track ? [{ id: item, track }] : [])), next: page.next };
}

async function load(id: string) {
  const [playlist, page] = await Promise.all([api.playlist(id), loadItems(id)]);
  return { playlist, page };
}

/** What is shown plays at once; what is not there yet of the list follows it. */
async function playOn(id: string, tracks: Track[], chosen: number, next: string | null): Promise<void> {
  void playTracks(tracks, chosen);
  const rest: Track[] = [];
  for (let cursor = next; cursor && tracks.length + rest.length < QUEUE_MAX; ) {
    const page = await loadItems(id, cursor);
    rest.push(...page.items.map(({ track }) => track));
    cursor = page.next;
  }
  continueQueue(tracks, rest);
}

/** A link that was made, and what it is good for. */
interface Given {
  link: string;
  means: string;
}

async function share(id: string): Promise<Given> {
  const { path } = await api.sharePlaylist(id);
  return { link: location.origin + href(path), means: 'Whoever has this link can open it' };
}

async function invite(id: string): Promise<Given> {
  const { token } = await api.invite(id);
  return { link: location.origin + href(`/join/${token}`), means: 'Whoever opens this link within 7 days can edit it, too' };
}

/** Stays until the page is left: it is told once, and not every browser may copy (a server in a network at home is no secure origin). */
function GivenLink({ link, means }: Given) {
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => {
    input.current?.select();
    navigator.clipboard?.writeText(link).then(
      () => tell('The link is copied.'),
      () => {},
    );
  }, [link]);
  return (
    <label class="field given-link">
      <span>{means}</span>
      <input ref={input} readOnly value={link} onFocus={(event) => event.currentTarget.select()} />
    </label>
  );
}

async function leave(id: string): Promise<void> {
  const state = session.get();
  if (state.kind === 'in') {
    await api.leavePlaylist(id, state.user.id);
    playlists.set(null);
    go('/library');
  }
}

async function remove(id: string): Promise<void> {
  await api.deletePlaylist(id);
  playlists.set(null);
  go('/library');
}

const formats: [ListFormat, string][] = [
  ['m3u8', 'Most players'],
  ['xspf', 'XML'],
  ['jspf', 'JSON, as ListenBrainz has it'],
];

function Export({ playlist: { id, title } }: { playlist: Playlist }) {
  const save = async (format: ListFormat) => saveFile(await api.exportPlaylist(id, format), `${title}.${format}`);
  return (
    <Menu
      label={`Export ${title}`}
      class="export"
      look="button"
      button="Export"
      items={formats.map(([format, detail]) => ({
        label: format.toUpperCase(),
        detail,
        onChoose: () => void save(format).catch(tellError),
      }))}
    />
  );
}

/** Who else sees and edits it, which its owner decides. */
function Sharing({ playlist }: { playlist: Playlist }) {
  const { id, smart } = playlist;
  const [shared, setShared] = useState(playlist.shared);
  const [given, setGiven] = useState<Given | null>(null);

  async function give(isShare: boolean): Promise<void> {
    setGiven(await (isShare ? share(id) : invite(id)));
    setShared(shared || isShare);
  }

  async function unshare(): Promise<void> {
    await api.unsharePlaylist(id);
    setShared(false);
    setGiven(null);
    tell('Its links open nothing any more.');
  }

  return (
    <>
      <button class="button" onClick={() => void give(true).catch(tellError)}>
        Share by a link
      </button>
      {shared && (
        <button class="button" onClick={() => void unshare().catch(tellError)}>
          Stop sharing
        </button>
      )}
      {!smart && (
        <button class="button" onClick={() => void give(false).catch(tellError)}>
          Invite to edit
        </button>
      )}
      {given && <GivenLink {...given} />}
    </>
  );
}

export function PlaylistPage({ id }: { id: string }) {
  const page = useResource(`playlist-${id}`, () => load(id));
  if (page.kind !== 'there') {
    return <main aria-busy={page.kind === 'pending'}>{page.kind === 'failed' && <Failed {...page} />}</main>;
  }
  return <Opened key={id} id={id} playlist={page.value.playlist} first={page.value.page} />;
}

/** What others edit meanwhile is merged by the server, and seen when the page is opened again. */
function Opened({ id, playlist, first }: { id: string; playlist: Playlist; first: Page<Item> }) {
  const [sure, setSure] = useState(false);
  const [title, setTitle] = useState(playlist.title);
  const [naming, setNaming] = useState(false);
  const [items, setItems] = useState(first.items);
  const [next, setNext] = useState(first.next);
  const tracks = items.map(({ track }) => track);
  const editable = playlist.access !== 'view' && !playlist.smart;

  function edit(next: Item[], told: Promise<unknown>): void {
    const before = items;
    setItems(next);
    told.catch((error: unknown) => {
      setItems(before);
      tellError(error);
    });
  }

  async function more(cursor: string): Promise<void> {
    const page = await loadItems(id, cursor);
    setItems((before) => [...before, ...page.items.filter((item) => !before.some((one) => one.id === item.id))]);
    setNext(page.next);
  }

  const play = (chosen: number) => void playOn(id, tracks, chosen, next).catch(tellError);

  function move(from: number, to: number): void {
    const after = items.filter((_, i) => i !== from);
    after.splice(to, 0, items[from]!);
    edit(after, api.moveItem(id, items[from]!.id, after[to - 1]?.id ?? null));
  }

  async function rename(wanted: string): Promise<void> {
    setTitle((await api.renamePlaylist(id, wanted)).title);
    setNaming(false);
    playlists.set(null);
  }

  const tools = (track: Track, index: number) => (
    <Mover
      title={track.title}
      from="playlist"
      index={index}
      count={items.length}
      onMove={(to) => move(index, to)}
      onRemove={() => edit(items.filter((_, i) => i !== index), api.removeItem(id, items[index]!.id))}
    />
  );

  return (
    <main>
      <div class="playlist-cover">
        <Mosaic id={id} title={playlist.title} />
      </div>
      {naming ? (
        <TitleForm label="Name of the playlist" value={title} button="Rename" onSave={rename} onCancel={() => setNaming(false)} />
      ) : (
        <h1 class="page-title">{title}</h1>
      )}
      {playlist.description && <p class="hint">{playlist.description}</p>}
      <p class="hint">{size({ itemCount: next || playlist.smart ? playlist.itemCount : items.length })}</p>
      <div class="hero-actions">
        <button class="button primary play" disabled={tracks.length === 0} onClick={() => play(0)}>
          <Icon name="play" size={20} />
          Play
        </button>
        <Export playlist={{ ...playlist, title }} />
        {playlist.access !== 'view' && !naming && (
          <button class="button" onClick={() => setNaming(true)}>
            Rename
          </button>
        )}
        {playlist.access !== 'owner' && (
          <button class="button" onClick={() => void leave(id).catch(tellError)}>
            Leave
          </button>
        )}
        {playlist.access === 'owner' && (
          <>
            <Sharing playlist={playlist} />
            <button class="button" onClick={() => (sure ? void remove(id).catch(tellError) : setSure(true))}>
              {sure ? 'Really delete it' : 'Delete'}
            </button>
          </>
        )}
      </div>
      <TrackList tracks={tracks} ids={items.map(({ id }) => id)} byAlbum={false} tools={editable ? tools : undefined} onPlay={play} />
      {tracks.length === 0 && !next && (
        <Empty title={playlist.smart ? 'Nothing fits its rules' : 'Nothing in it yet'}>
          <p>{playlist.smart ? 'What fits appears here by itself.' : 'The + beside a track puts it here.'}</p>
        </Empty>
      )}
      <End next={next} load={more} />
    </main>
  );
}

/** An invitation: who opens it has the playlist among the own. */
export function JoinPage({ token }: { token: string }) {
  const joined = useResource(`join-${token}`, () => api.join(token));
  useEffect(() => {
    if (joined.kind === 'there') {
      playlists.set(null);
      const { title, access } = joined.value;
      tell(access === 'view' ? `${title} is among your playlists now.` : `You edit ${title} together now.`);
      go(`/playlist/${joined.value.id}`);
    }
  }, [joined.kind]);
  return <main aria-busy={joined.kind === 'pending'}>{joined.kind === 'failed' && <Failed {...joined} />}</main>;
}

function Line({ track, number }: { track: Track | null; number: number }) {
  return (
    <li class="row">
      <span class="row-play">{number}</span>
      <div class="row-text">
        <span class="row-title">{track?.title ?? 'Not here any more'}</span>
        <span class="row-state">{track?.artistName}</span>
      </div>
      <span class="row-time">{track ? clock(track.durationMs / 1000) : ''}</span>
    </li>
  );
}

export function SharedPage({ token }: { token: string }) {
  const page = useResource(`shared-${token}`, () => api.shared(token));
  const { kind } = useStore(session, whole);
  return (
    <main>
      {kind === 'out' && (
        <a href="./" class="brand" aria-label="Tutti">
          <Logo />
        </a>
      )}
      {page.kind === 'failed' && <Failed {...page} />}
      {page.kind === 'there' && (
        <>
          <h1 class="page-title">{page.value.title}</h1>
          <p class="hint">{page.value.description || size(page.value)}</p>
          <More first={page.value.tracks} load={async (cursor) => (await api.shared(token, cursor)).tracks}>
            {(items) => (
              <ol class="rows" aria-label="Tracks">
                {items.map(({ id, track }, i) => (
                  <Line key={id} track={track} number={i + 1} />
                ))}
              </ol>
            )}
          </More>
        </>
      )}
    </main>
  );
}
