// A pointer that rests on something, as opposed to one that passes over it.

const REST_MS = 70;

/** Handlers for an element: `run` when the pointer rests on it, or the focus comes. */
export function onIntent(run: () => void) {
  let timer = 0;
  return {
    onPointerEnter: () => {
      timer = window.setTimeout(run, REST_MS);
    },
    onPointerLeave: () => clearTimeout(timer),
    onPointerDown: run,
    onFocusCapture: run,
  };
}
