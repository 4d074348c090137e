// What plays next: to be seen, ordered, thinned out.
import { clock } from '../format';
import { moveInQueue, playAt, player, removeFromQueue } from '../player/player';
import { entryKeys } from '../player/queue';
import { useStore } from '../store';
import type { Track } from '../types';
import { Icon } from '../ui/icons';
import { Mover } from '../ui/mover';
import { Empty } from '../ui/states';

interface RowProps {
  track: Track;
  index: number;
  count: number;
  current: boolean;
}

function Row({ track, index, count, current }: RowProps) {
  return (
    <li class={`row ready${current ? ' current' : ''}`} aria-current={current ? 'true' : undefined}>
      <button class="row-play" aria-label={`Play ${track.title}`} onClick={() => void playAt(index)}>
        <span class="row-number">{index + 1}</span>
        <span class="row-icon">
          <Icon name="play" size={20} />
        </span>
      </button>
      <div class="row-text">
        <span class="row-title">{track.title}</span>
        <span class="row-state">{track.credit}</span>
      </div>
      <span class="row-end">
        <Mover
          title={track.title}
          from="queue"
          index={index}
          count={count}
          fixed={current}
          onMove={(to) => moveInQueue(index, to)}
          onRemove={() => removeFromQueue(index)}
        />
        <span class="row-time">{clock(track.durationMs / 1000)}</span>
      </span>
    </li>
  );
}

export function QueuePage() {
  const { tracks, index } = useStore(player, (state) => state.queue);
  const keys = entryKeys(tracks);
  return (
    <main>
      <h1 class="page-title">Queue</h1>
      {tracks.length === 0 && (
        <Empty title="Nothing is playing">
          <p>Play an album or a playlist, and its tracks stand here.</p>
        </Empty>
      )}
      <ol class="rows" aria-label="Queue">
        {tracks.map((track, i) => (
          <Row key={keys[i]} track={track} index={i} count={tracks.length} current={i === index} />
        ))}
      </ol>
    </main>
  );
}
