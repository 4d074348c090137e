import { dismiss, toasts } from '../toasts';
import { useStore, whole } from '../store';
import { Icon } from '../ui/icons';

export function Toasts() {
  const all = useStore(toasts, whole);
  return (
    <div class="toasts" role="status" aria-live="polite">
      {all.map(({ id, text, kind }) => (
        <div key={id} class={`toast ${kind}`}>
          <span>{text}</span>
          <button class="icon-button small" aria-label="Dismiss" onClick={() => dismiss(id)}>
            <Icon name="close" size={16} />
          </button>
        </div>
      ))}
    </div>
  );
}
