// One file to the object store, part by part, by pre-signed PUTs that don't pass through the API.
// A part that is cut is sent again; URLs that ran out are renewed; parts the store has are skipped.
import { api } from '../api';
import { ConnectionLost, Problem } from '../problem';
import type { Upload } from '../types';
import { persist } from './persist';

type Patiently = <T>(run: (signal: AbortSignal) => Promise<T>) => Promise<T>;

export interface TransferEvents {
  /** The upload has an id: remember it. */
  begun(uploadId: string): void;
  /** Bytes that are, or seem to be, on the other side. */
  sent(bytes: number): void;
  /** true while the connection is lost and we wait to try again. */
  waiting(isWaiting: boolean): void;
}

/** No byte moved for so long: the connection is dead, whatever the browser believes. */
const STALL_MS = 20_000;

export interface PartRange {
  number: number;
  start: number;
  end: number;
}

/** Where each part lies in the file. An empty file has one empty part. */
export function partRanges(size: number, partSize: number): PartRange[] {
  const count = Math.max(1, Math.ceil(size / partSize));
  return Array.from({ length: count }, (_, i) => ({
    number: i + 1,
    start: i * partSize,
    end: Math.min(size, (i + 1) * partSize),
  }));
}

/** PUTs bytes; resolves with the store's ETag. */
function put(url: string, bytes: Blob, progress: (sent: number) => void, signal: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const request = new XMLHttpRequest();
    let stall = 0;
    const alive = () => {
      clearTimeout(stall);
      stall = window.setTimeout(() => request.abort(), STALL_MS);
    };
    const stop = () => request.abort();
    const finish = (end: () => void) => {
      clearTimeout(stall);
      signal.removeEventListener('abort', stop);
      end();
    };
    request.open('PUT', url);
    request.upload.onprogress = (event) => {
      alive();
      progress(event.loaded);
    };
    request.onload = () =>
      finish(() => {
        const etag = request.getResponseHeader('ETag');
        if (request.status >= 200 && request.status < 300) {
          resolve(etag ?? '');
        } else {
          reject(new Problem(request.status, { detail: `The store answered ${request.status}.` }));
        }
      });
    request.onerror = () => finish(() => reject(new ConnectionLost()));
    request.onabort = () =>
      finish(() =>
        reject(signal.aborted ? new DOMException('Aborted', 'AbortError') : new ConnectionLost()),
      );
    signal.addEventListener('abort', stop, { once: true });
    alive();
    request.send(bytes);
  });
}

/** The server's view of an upload begun earlier, or a new one. */
async function open(
  file: File,
  earlier: string | undefined,
  key: string,
  patiently: Patiently,
): Promise<Upload> {
  if (earlier) {
    try {
      const upload = await patiently((signal) => api.upload(earlier, signal));
      if (upload.state !== 'aborted') {
        return upload;
      }
    } catch (error) {
      if (!(error instanceof Problem) || (error.status !== 404 && error.status !== 410)) {
        throw error;
      }
    }
  }
  const again = earlier ? `${key}-${earlier}` : key;
  return patiently((signal) => api.createUpload(file.name, file.size, again, signal));
}

export interface Transferred {
  /** What POST /tracks takes. */
  trackUrl: string;
  /** Set where a track has the file already: its answer was lost. */
  trackId: string | null;
}

/** Sends a file, or what is missing of it. */
export async function transfer(
  file: File,
  { uploadId, key }: { uploadId?: string; key: string },
  events: TransferEvents,
  signal: AbortSignal,
): Promise<Transferred> {
  const patiently: Patiently = (run) => persist(run, signal, events.waiting);
  let upload = await open(file, uploadId, key, patiently);
  events.begun(upload.id);
  const { trackUrl, trackId } = upload;
  if (upload.state !== 'open') {
    return { trackUrl, trackId };
  }
  const done = new Map<number, string>();
  let bytesDone = 0;

  async function sendPart({ number, start, end }: PartRange): Promise<string> {
    const send = (signal: AbortSignal) => {
      const part = upload.parts.find((p) => p.number === number);
      if (!part) {
        throw new Error(`The server knows no part ${number} of ${file.name}.`);
      }
      return put(part.url, file.slice(start, end), (sent) => events.sent(bytesDone + sent), signal);
    };
    try {
      return await patiently(send);
    } catch (error) {
      if (!(error instanceof Problem) || error.status !== 403) {
        throw error;
      }
      upload = await patiently((signal) => api.upload(upload.id, signal)); // its URLs had run out
      return patiently(send);
    }
  }

  for (const range of partRanges(file.size, upload.partSize)) {
    const known = upload.parts.find((part) => part.number === range.number);
    const etag = known?.etag ? known.etag : await sendPart(range);
    done.set(range.number, etag);
    bytesDone += range.end - range.start;
    events.sent(bytesDone);
  }
  await complete(upload, done, patiently);
  return { trackUrl, trackId };
}

/** Joins the parts. A proxy may hide ETags from us: those parts are the store's word. */
async function complete(
  upload: Upload,
  done: Map<number, string>,
  patiently: Patiently,
): Promise<void> {
  const parts = [...done].filter(([, etag]) => etag !== '').map(([number, etag]) => ({ number, etag }));
  await patiently((signal) => api.completeUpload(upload.id, parts, signal));
}
