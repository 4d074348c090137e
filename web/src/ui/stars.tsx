// One to five stars; the one that holds, clicked again, takes the rating away.
import { mark, markOf, marks, type Kind } from '../library/marks';
import { useStore } from '../store';
import { Icon } from './icons';

export function Stars({ kind, id, title }: { kind: Kind; id: string; title: string }) {
  const rating = useStore(marks, () => markOf('rating', kind, id));
  return (
    <span class="stars" role="group" aria-label={`Rating of ${title}`}>
      {[1, 2, 3, 4, 5].map((stars) => {
        const label = stars === rating ? `Take the rating of ${title} away` : `Rate ${title} ${stars} of 5`;
        return (
          <button
            key={stars}
            class={`star${stars <= rating ? ' on' : ''}`}
            aria-pressed={stars === rating}
            aria-label={label}
            title={label}
            onClick={() => mark('rating', kind, id, stars === rating ? 0 : stars)}
          >
            <Icon name="star" size={20} />
          </button>
        );
      })}
    </span>
  );
}
