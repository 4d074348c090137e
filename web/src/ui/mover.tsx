// The buttons by which a row of a list that one may order goes up, down or away.
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

export function Mover({ title, from, index, count, fixed = false, onMove, onRemove }: MoverProps) {
  return (
    <span class="mover">
      <button class="icon-button" aria-label={`Move ${title} up`} disabled={index === 0} onClick={() => onMove(index - 1)}>
        <Icon name="up" size={18} />
      </button>
      <button class="icon-button" aria-label={`Move ${title} down`} disabled={index === count - 1} onClick={() => onMove(index + 1)}>
        <Icon name="down" size={18} />
      </button>
      <button class="icon-button" aria-label={`Take ${title} out of the ${from}`} disabled={fixed} onClick={onRemove}>
        <Icon name="close" size={18} />
      </button>
    </span>
  );
}
