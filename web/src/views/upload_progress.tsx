// An upload under way: each file, and the whole.
import { useEffect, useRef, useState } from 'preact/hooks';
import { plural, size } from '../format';
import { go } from '../router';
import { cancelUpload, closeUpload, type ItemState, type UploadItem, type UploadJob } from '../upload/album';
import { Rate, timeLeft } from '../upload/rate';
import { Icon } from '../ui/icons';

function stateText(item: UploadItem): string {
  const texts: Record<ItemState, string> = {
    waiting: 'Waiting',
    sending: `${Math.floor((100 * item.sent) / Math.max(1, item.file.size))} %`,
    interrupted: 'Connection lost, trying again…',
    finishing: 'Finishing',
    processing: item.progress ? `Preparing ${Math.round(item.progress)} %` : 'Preparing…',
    ready: 'Ready',
    failed: item.message ?? 'Failed',
  };
  return texts[item.state];
}

function Item({ item }: { item: UploadItem }) {
  const sending = item.state === 'sending' || item.state === 'interrupted' || item.state === 'waiting';
  const value = sending ? (100 * item.sent) / Math.max(1, item.file.size) : 100;
  return (
    <li class={`send-row ${item.state}`}>
      <span class="send-number">{item.state === 'ready' ? <Icon name="check" size={18} /> : item.number}</span>
      <span class="send-title">{item.title}</span>
      <span class="send-state" role={item.state === 'failed' ? 'alert' : undefined}>
        {stateText(item)}
      </span>
      <progress
        class={`send-progress ${item.state}`}
        max={100}
        {...(item.state === 'processing' && !item.progress ? {} : { value: item.state === 'processing' ? item.progress : value })}
        aria-label={`Progress of ${item.title}`}
      />
    </li>
  );
}

/** Bytes a second, looked at once a second. */
function useRate(sent: number): number {
  const rate = useRef(new Rate());
  const bytes = useRef(sent);
  bytes.current = sent;
  const [perSecond, setPerSecond] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => {
      rate.current.add(bytes.current, performance.now());
      setPerSecond(rate.current.perSecond);
    }, 1000);
    return () => clearInterval(timer);
  }, []);
  return perSecond;
}

function summary(job: UploadJob, sent: number, all: number, perSecond: number): string {
  if (!job.finished) {
    const speed = perSecond > 0 ? `${size(perSecond)}/s` : '';
    return [`${size(sent)} of ${size(all)}`, speed, timeLeft(all - sent, perSecond)].filter(Boolean).join(' · ');
  }
  const count = (state: ItemState) => job.items.filter((item) => item.state === state).length;
  const working = job.items.length - count('ready') - count('failed');
  const failed = count('failed') > 0 ? `, ${count('failed')} failed` : '';
  return working > 0
    ? `Everything has arrived. ${plural(working, 'track')} being prepared${failed}.`
    : `${plural(count('ready'), 'track')} ready${failed}.`;
}

export function UploadProgress({ job }: { job: UploadJob }) {
  const sum = (of: (item: UploadItem) => number) => job.items.reduce((total, item) => total + of(item), 0);
  const all = sum((item) => item.file.size);
  const sent = sum((item) => item.sent);
  const perSecond = useRate(sent);

  function openAlbum(): void {
    const { albumId } = job;
    if (job.finished) {
      closeUpload();
    }
    go(`/album/${albumId}`);
  }

  return (
    <main class="upload">
      <h1 class="page-title">{job.title}</h1>
      <section class="send-whole" aria-label="Whole upload">
        <progress max={all} value={sent} aria-label="Progress of the upload" />
        <p role="status">{summary(job, sent, all, perSecond)}</p>
      </section>
      <ol class="send-rows">
        {job.items.map((item) => (
          <Item key={item.key} item={item} />
        ))}
      </ol>
      <div class="form-foot">
        {job.finished ? (
          <button class="button" onClick={closeUpload}>
            Upload another
          </button>
        ) : (
          <button class="button" onClick={cancelUpload}>
            Stop
          </button>
        )}
        <span class="spacer" />
        <button class="button primary" disabled={!job.albumId} onClick={openAlbum}>
          Open the album
        </button>
      </div>
    </main>
  );
}
