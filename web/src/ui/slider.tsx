// A slider: pointer, keys and screen readers (WAI-ARIA slider pattern). Draws its own fill by the
// custom property --at; children lie behind the handle.
import type { ComponentChildren } from 'preact';
import { useRef } from 'preact/hooks';

interface SliderProps {
  label: string;
  class: string;
  value: number;
  max: number;
  step: number;
  /** The value in words, for screen readers. */
  text: string;
  /** While dragging; defaults to nothing, so that only the end counts. */
  onDrag?: (value: number | null) => void;
  onChange: (value: number) => void;
  children?: ComponentChildren;
}

export function Slider(props: SliderProps) {
  const track = useRef<HTMLDivElement>(null);
  const dragged = useRef<number | null>(null);

  function valueAt(event: PointerEvent): number {
    const box = track.current!.getBoundingClientRect();
    return Math.min(1, Math.max(0, (event.clientX - box.left) / box.width)) * props.max;
  }

  function onPointerDown(event: PointerEvent): void {
    if (event.button === 0 && props.max > 0) {
      track.current!.setPointerCapture(event.pointerId);
      onMove(valueAt(event));
    }
  }

  function onMove(value: number): void {
    dragged.current = value;
    props.onDrag?.(value);
  }

  function onPointerUp(): void {
    const value = dragged.current;
    dragged.current = null;
    props.onDrag?.(null);
    if (value !== null) {
      props.onChange(value);
    }
  }

  function onKeyDown(event: KeyboardEvent): void {
    const steps: Record<string, number> = {
      ArrowLeft: props.value - props.step,
      ArrowDown: props.value - props.step,
      ArrowRight: props.value + props.step,
      ArrowUp: props.value + props.step,
      PageDown: props.value - 4 * props.step,
      PageUp: props.value + 4 * props.step,
      Home: 0,
      End: props.max,
    };
    const value = steps[event.key];
    if (value !== undefined) {
      event.preventDefault();
      props.onChange(Math.min(props.max, Math.max(0, value)));
    }
  }

  return (
    <div
      ref={track}
      class={`slider ${props.class}`}
      role="slider"
      tabIndex={0}
      aria-label={props.label}
      aria-valuemin={0}
      aria-valuemax={Math.round(props.max * 100) / 100}
      aria-valuenow={Math.round(props.value * 100) / 100}
      aria-valuetext={props.text}
      style={{ '--at': props.max > 0 ? props.value / props.max : 0 }}
      onPointerDown={onPointerDown}
      onPointerMove={(event) => dragged.current !== null && onMove(valueAt(event))}
      onPointerUp={onPointerUp}
      onPointerCancel={onPointerUp}
      onKeyDown={onKeyDown}
    >
      {props.children}
      <span class="slider-rail" />
      <span class="slider-handle" />
    </div>
  );
}
