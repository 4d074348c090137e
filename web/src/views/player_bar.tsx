// The player at the foot of the page.
import { useEffect, useRef, useState } from 'preact/hooks';
import { clock } from '../format';
import {
  currentTrack,
  player,
  positionNow,
  seek,
  setChoice,
  setVolume,
  skip,
  toggle,
  toggleMute,
} from '../player/player';
import { nextIndex } from '../player/queue';
import { CHOICES, type Choice } from '../player/quality';
import { useStore, whole } from '../store';
import type { Track } from '../types';
import { Cover } from '../ui/cover';
import { Icon } from '../ui/icons';
import { Menu } from '../ui/menu';
import { Slider } from '../ui/slider';
import { Waveform } from '../ui/waveform';

function Now({ track }: { track: Track }) {
  return (
    <div class="now">
      <a href={`album/${track.albumId}`} class="now-cover" aria-label={`To the album ${track.albumTitle}`}>
        <Cover id={track.albumId} artId={track.coverArtId} title={track.albumTitle} size={64} eager />
      </a>
      <div class="now-text" aria-live="polite">
        <a class="now-title" href={`album/${track.albumId}`}>
          {track.title}
        </a>
        <a class="now-artist" href={`artist/${track.artistId}`}>
          {track.artistName}
        </a>
      </div>
    </div>
  );
}

function Buttons() {
  const playing = useStore(player, (state) => state.playing);
  const waiting = useStore(player, (state) => state.waiting);
  const hasNext = useStore(player, (state) => nextIndex(state.queue) !== null);
  return (
    <div class="buttons">
      <button class="icon-button previous" aria-label="Previous" onClick={() => void skip(-1)}>
        <Icon name="previous" />
      </button>
      <button class={`play-button${waiting ? ' waiting' : ''}`} aria-label={playing ? 'Pause' : 'Play'} onClick={() => void toggle()}>
        <Icon name={playing ? 'pause' : 'play'} />
      </button>
      <button class="icon-button next" aria-label="Next" disabled={!hasNext} onClick={() => void skip(1)}>
        <Icon name="next" />
      </button>
    </div>
  );
}

function SeekBar({ track }: { track: Track }) {
  const position = useStore(player, (state) => state.position);
  const duration = useStore(player, (state) => state.duration);
  const playing = useStore(player, (state) => state.playing);
  const [dragged, setDragged] = useState<number | null>(null);
  const bar = useRef<HTMLDivElement>(null);

  // Between the store's four updates a second, the fill follows the sound at the screen's rate.
  useEffect(() => {
    if (!playing || dragged !== null || duration <= 0) {
      return undefined;
    }
    let frame = 0;
    const draw = () => {
      const slider = bar.current?.querySelector<HTMLElement>('.slider');
      slider?.style.setProperty('--at', String(positionNow() / duration));
      frame = requestAnimationFrame(draw);
    };
    frame = requestAnimationFrame(draw);
    return () => cancelAnimationFrame(frame);
  }, [playing, dragged, duration]);

  const shown = dragged ?? position;
  return (
    <div class="seek" ref={bar}>
      <time>{clock(shown)}</time>
      <Slider
        class="seek-slider"
        label="Seek"
        value={Math.min(shown, duration)}
        max={duration}
        step={5}
        text={`${clock(shown)} of ${clock(duration)}`}
        onDrag={setDragged}
        onChange={seek}
      >
        <Waveform trackId={track.id} />
      </Slider>
      <time>{clock(duration)}</time>
    </div>
  );
}

function choiceText(choice: Choice): string {
  return choice === 'auto' ? 'Automatic' : `${choice} kbit/s`;
}

const DETAILS: Record<string, string> = {
  auto: 'What the line carries',
  96: 'Spares data',
  160: 'Good',
  320: 'Best',
};

function Quality() {
  const choice = useStore(player, (state) => state.choice);
  const rung = useStore(player, (state) => state.rung);
  const items = CHOICES.map((each) => ({
    label: choiceText(each),
    detail: DETAILS[each],
    checked: each === choice,
    onChoose: () => setChoice(each),
  }));
  return <Menu label="Quality" class="quality" button={<span>{rung ? `AAC ${rung}` : 'AAC'}</span>} items={items} />;
}

function Volume() {
  const volume = useStore(player, (state) => (state.muted ? 0 : state.volume));
  return (
    <div class="volume">
      <button class="icon-button" aria-label={volume === 0 ? 'Unmute' : 'Mute'} onClick={toggleMute}>
        <Icon name={volume === 0 ? 'muted' : 'volume'} size={22} />
      </button>
      <Slider
        class="volume-slider"
        label="Volume"
        value={volume}
        max={1}
        step={0.05}
        text={`${Math.round(volume * 100)} %`}
        onDrag={(value) => value !== null && setVolume(value, false)}
        onChange={setVolume}
      />
    </div>
  );
}

export function PlayerBar() {
  const { queue } = useStore(player, whole);
  const track = queue.index >= 0 ? currentTrack() : null;
  useEffect(() => {
    document.title = track ? `${track.title} · ${track.artistName}` : 'Tutti';
  }, [track?.id]);
  if (!track) {
    return null;
  }
  return (
    <footer class="player" aria-label="Player">
      <Now track={track} />
      <Buttons />
      <SeekBar track={track} />
      <div class="player-side">
        <a href="queue" class="icon-button" aria-label="Queue" title="Queue">
          <Icon name="queue" size={22} />
        </a>
        <Quality />
        <Volume />
      </div>
    </footer>
  );
}
