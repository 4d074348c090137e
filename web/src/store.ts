// A value that views watch. The whole state management of the app.
import { useEffect, useReducer, useRef } from 'preact/hooks';

export interface Store<T> {
  get(): T;
  set(value: T): void;
  update(change: (value: T) => T): void;
  subscribe(listener: () => void): () => void;
}

export function createStore<T>(initial: T): Store<T> {
  let value = initial;
  const listeners = new Set<() => void>();
  const store: Store<T> = {
    get: () => value,
    set(next) {
      if (Object.is(next, value)) {
        return;
      }
      value = next;
      for (const listener of [...listeners]) {
        listener();
      }
    },
    update: (change) => store.set(change(value)),
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
  return store;
}

/** The part of the store that `select` picks; the view is drawn again only when that part changes. */
export function useStore<T, S>(store: Store<T>, select: (value: T) => S): S {
  const [, redraw] = useReducer<number, void>((count) => count + 1, 0);
  const drawn = { select, part: select(store.get()) };
  // What was drawn last, since `select` may know what only this drawing knows.
  const last = useRef(drawn);
  last.current = drawn;
  useEffect(() => {
    const check = () => {
      const { select, part } = last.current;
      if (!Object.is(select(store.get()), part)) {
        redraw();
      }
    };
    check();
    return store.subscribe(check);
  }, [store]);
  return drawn.part;
}

export const whole = <T>(value: T): T => value;
