// The button that makes something a favourite.
import { mark, markOf, marks, type Kind } from '../library/marks';
import { useStore } from '../store';
import { Icon } from './icons';

export function Heart({ kind, id, title }: { kind: Kind; id: string; title: string }) {
  const on = useStore(marks, () => markOf('favourite', kind, id) > 0);
  const label = on ? `Take ${title} out of the favourites` : `Make ${title} a favourite`;
  return (
    <button class={`icon-button heart${on ? ' on' : ''}`} aria-pressed={on} aria-label={label} title={label} onClick={() => mark('favourite', kind, id, on ? 0 : 1)}>
      <Icon name={on ? 'heartFull' : 'heart'} size={20} />
    </button>
  );
}
