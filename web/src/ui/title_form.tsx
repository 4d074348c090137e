// A title to be typed in place: Enter or the button keeps it, Escape leaves it as it was.
import { useLayoutEffect, useRef, useState } from 'preact/hooks';
import { tellError } from '../toasts';

interface TitleFormProps {
  label: string;
  value: string;
  button: string;
  onSave: (title: string) => Promise<unknown>;
  onCancel: () => void;
}

export function TitleForm({ label, value, button, onSave, onCancel }: TitleFormProps) {
  const [busy, setBusy] = useState(false);
  const input = useRef<HTMLInputElement>(null);
  // Not a moment later: what is typed right after the click belongs to it.
  useLayoutEffect(() => {
    input.current?.focus();
    input.current?.select();
  }, []);

  async function submit(event: Event): Promise<void> {
    event.preventDefault();
    const title = input.current!.value.trim();
    if (title) {
      setBusy(true);
      await onSave(title).catch(tellError);
      setBusy(false);
    }
  }

  return (
    <form class="title-form field" onSubmit={(event) => void submit(event)} onKeyDown={(event) => event.key === 'Escape' && onCancel()}>
      <input ref={input} name="title" aria-label={label} required maxLength={300} autocomplete="off" defaultValue={value} />
      <button class="button primary" disabled={busy}>
        {button}
      </button>
      <button type="button" class="button" onClick={onCancel}>
        Cancel
      </button>
    </form>
  );
}
