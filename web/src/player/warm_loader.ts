// hls.js's loader, except that what sources.ts has fetched ahead is handed over without a request.
import Hls, {
  type Loader,
  type LoaderCallbacks,
  type LoaderConfiguration,
  type LoaderContext,
} from 'hls.js/light';
import { dropWarm, takeWarm, type Warm } from './sources';

const Network = Hls.DefaultConfig.loader;

/** The part of a warm file that a request wants; null when it isn't all there. */
export function slice(warm: Warm, rangeStart?: number, rangeEnd?: number): ArrayBuffer | null {
  if (!rangeEnd) {
    return warm.bytes.slice(0);
  }
  return rangeEnd <= warm.bytes.byteLength ? warm.bytes.slice(rangeStart ?? 0, rangeEnd) : null;
}

export class WarmLoader extends Network {
  private ended = false;

  load(
    context: LoaderContext,
    config: LoaderConfiguration,
    callbacks: LoaderCallbacks<LoaderContext>,
  ): void {
    const warm = takeWarm(context.url);
    if (!warm) {
      super.load(context, config, callbacks);
      return;
    }
    void warm.then((found) => {
      const bytes = found && slice(found, context.rangeStart, context.rangeEnd);
      if (this.ended) {
        return;
      }
      if (!found || !bytes) {
        super.load(context, config, callbacks);
      } else {
        this.handOver(context, callbacks, bytes, found.tookMs);
      }
    });
  }

  private handOver(
    context: LoaderContext,
    callbacks: LoaderCallbacks<LoaderContext>,
    bytes: ArrayBuffer,
    tookMs: number,
  ): void {
    const now = performance.now();
    const stats = this.stats as Loader<LoaderContext>['stats'];
    stats.loading.start = now - tookMs; // so long it took when it was fetched
    stats.loading.first = Math.max(now - tookMs / 2, stats.loading.start);
    stats.loading.end = now;
    stats.loaded = stats.total = bytes.byteLength;
    const isText = context.responseType !== 'arraybuffer';
    if (isText) {
      dropWarm(context.url); // a manifest grows while its ladder does
    }
    const data = isText ? new TextDecoder().decode(bytes) : bytes;
    callbacks.onSuccess({ url: context.url, data, code: 200 }, stats, context, null);
  }

  abort(): void {
    this.ended = true;
    super.abort();
  }

  destroy(): void {
    this.ended = true;
    super.destroy();
  }
}
