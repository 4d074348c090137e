// Short messages at the corner of the page, read aloud to those who listen to it.
import { words } from './problem';
import { createStore } from './store';

export interface Toast {
  id: number;
  text: string;
  kind: 'error' | 'note';
}

export const toasts = createStore<Toast[]>([]);
let last = 0;

export function dismiss(id: number): void {
  toasts.update((all) => all.filter((toast) => toast.id !== id));
}

export function tell(text: string, kind: Toast['kind'] = 'note'): void {
  if (toasts.get().some((toast) => toast.text === text)) {
    return;
  }
  last += 1;
  const id = last;
  toasts.update((all) => [...all.slice(-2), { id, text, kind }]);
  setTimeout(() => dismiss(id), kind === 'error' ? 9000 : 4500);
}

/** For promises that nobody waits for. */
export function tellError(error: unknown): void {
  if (error instanceof DOMException && error.name === 'AbortError') {
    return;
  }
  tell(words(error), 'error');
}
