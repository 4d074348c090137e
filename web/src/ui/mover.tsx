// The buttons by which a row of a list that one may order goes up, down or away.
import { useLayoutEffect, useRef } from 'preact/hooks';
import { Icon } from './icons';

interface MoverProps {
  title: string;
  from: string;
  index: number;
  count: number;
  /** The one that plays stays. */
  fixed?: boolean;
  onMove: (to: number) => void;
  onRemove: () => void;
}

/** A button that moves with its row is taken out of the page for a moment, and at the list's end it is disabled: both lose
 * the keyboard. It is given back, or to the button for the other way. */
function useKeptFocus(index: number) {
  const up = useRef<HTMLButtonElement>(null);
  const down = useRef<HTMLButtonElement>(null);
  const pressed = useRef<'up' | 'down' | null>(null);
  useLayoutEffect(() => {
    if (pressed.current) {
      const [same, other] = pressed.current === 'up' ? [up, down] : [down, up];
      (same.current?.disabled ? other : same).current?.focus();
      pressed.current = null;
    }
  }, [index]);
  return { up, down, pressed };
}

export function Mover({ title, from, index, count, fixed = false, onMove, onRemove }: MoverProps) {
  const { up, down, pressed } = useKeptFocus(index);
  function move(way: 'up' | 'down'): void {
    pressed.current = way;
    onMove(way === 'up' ? index - 1 : index + 1);
  }
  return (
    <span class="mover">
      <button ref={up} class="icon-button" aria-label={`Move ${title} up`} disabled={index === 0} onClick={() => move('up')}>
        <Icon name="up" size={18} />
      </button>
      <button ref={down} class="icon-button" aria-label={`Move ${title} down`} disabled={index === count - 1} onClick={() => move('down')}>
        <Icon name="down" size={18} />
      </button>
      <button class="icon-button" aria-label={`Take ${title} out of the ${from}`} disabled={fixed} onClick={onRemove}>
        <Icon name="close" size={18} />
      </button>
    </span>
  );
}
