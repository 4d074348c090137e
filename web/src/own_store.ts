// A store of what is one person's: empty again when somebody else is signed in, or nobody.
import { onUserChange, userId } from './session';
import { createStore, type Store } from './store';

export interface OwnStore<T> extends Store<T> {
  /** Holds an answer that was asked for the one who is signed in, unless it comes too late for them. */
  take(answer: Promise<T>): Promise<void>;
}

export function createOwnStore<T>(empty: T): OwnStore<T> {
  const store = createStore(empty);
  onUserChange(() => store.set(empty));
  return {
    ...store,
    async take(answer) {
      const user = userId();
      const value = await answer;
      if (userId() === user) {
        store.set(value);
      }
    },
  };
}
