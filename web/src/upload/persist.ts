// Trying again for as long as it takes: a cut connection may last.
import { backoff, pause } from '../backoff';
import { isPassing } from '../problem';

/** Runs until it works, fails for good or is stopped. `waiting` hears true while we wait for the next try. */
export async function persist<T>(
  run: (signal: AbortSignal) => Promise<T>,
  signal: AbortSignal,
  waiting: (isWaiting: boolean) => void = () => {},
): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    signal.throwIfAborted();
    try {
      const result = await run(signal);
      if (attempt > 1) {
        waiting(false);
      }
      return result;
    } catch (error) {
      if (!isPassing(error)) {
        throw error;
      }
      waiting(true);
      await pause(backoff(attempt), signal);
    }
  }
}
