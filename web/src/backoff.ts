// Waiting between tries: growing, with jitter, bounded.

/** Milliseconds before try number `attempt` (1 is the first repetition). `random` is in [0, 1). */
export function backoff(attempt: number, random = Math.random(), firstMs = 500, mostMs = 15_000): number {
  const ceiling = Math.min(mostMs, firstMs * 2 ** (attempt - 1));
  return Math.round(ceiling / 2 + (ceiling / 2) * random);
}

/** Resolves after `ms`, or at once when the browser is online again; rejects when aborted. */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const done = (finish: () => void) => {
      clearTimeout(timer);
      globalThis.removeEventListener?.('online', wake);
      signal?.removeEventListener('abort', stop);
      finish();
    };
    const wake = () => done(resolve);
    const stop = () => done(() => reject(new DOMException('Aborted', 'AbortError')));
    const timer = setTimeout(wake, ms);
    if (signal?.aborted) {
      stop();
      return;
    }
    globalThis.addEventListener?.('online', wake, { once: true });
    signal?.addEventListener('abort', stop, { once: true });
  });
}
