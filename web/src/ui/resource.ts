// What a view loads: pending, there, or an error with a way to try again.
import { useEffect, useState } from 'preact/hooks';

export type Resource<T> =
  | { kind: 'pending' }
  | { kind: 'there'; value: T }
  | { kind: 'failed'; error: unknown; retry: () => void };

/** Loads again whenever `key` changes; an answer that comes too late is dropped. */
export function useResource<T>(key: string, load: () => Promise<T>): Resource<T> {
  const [state, setState] = useState<{ key: string; resource: Resource<T> } | null>(null);
  const [tries, setTries] = useState(0);
  useEffect(() => {
    let current = true;
    const settle = (resource: Resource<T>) => current && setState({ key, resource });
    load().then(
      (value) => settle({ kind: 'there', value }),
      (error: unknown) =>
        settle({
          kind: 'failed',
          error,
          retry: () => {
            setState(null);
            setTries((count) => count + 1);
          },
        }),
    );
    return () => {
      current = false;
    };
  }, [key, tries]);
  return state?.key === key ? state.resource : { kind: 'pending' };
}
