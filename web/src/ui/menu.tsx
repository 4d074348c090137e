// A button that opens a small menu (WAI-ARIA menu button pattern).
import type { ComponentChildren } from 'preact';
import { useLayoutEffect, useRef, useState } from 'preact/hooks';
import { Icon } from './icons';

export interface MenuItem {
  label: string;
  detail?: string;
  /** For a choice among several. */
  checked?: boolean;
  onChoose: () => void;
}

interface MenuProps {
  label: string;
  class: string;
  button: ComponentChildren;
  /** Of the button. */
  look?: string;
  items: MenuItem[];
}

export function Menu({ label, class: name, button, look, items }: MenuProps) {
  const [open, setOpen] = useState(false);
  const root = useRef<HTMLDivElement>(null);
  const entries = () => [...root.current!.querySelectorAll<HTMLElement>('[role^="menuitem"]')];

  // Not a moment later: the next key belongs to what is open.
  useLayoutEffect(() => {
    if (!open) {
      return undefined;
    }
    const all = entries();
    (all.find((entry) => entry.ariaChecked === 'true') ?? all[0])?.focus();
    const outside = (event: Event) => {
      if (!root.current?.contains(event.target as Node)) {
        setOpen(false);
      }
    };
    document.addEventListener('pointerdown', outside);
    return () => document.removeEventListener('pointerdown', outside);
  }, [open]);

  function close(): void {
    setOpen(false);
    root.current?.querySelector('button')?.focus();
  }

  function onKeyDown(event: KeyboardEvent): void {
    if (!open) {
      return;
    }
    const all = entries();
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) {
      const from = all.indexOf(document.activeElement as HTMLElement);
      all[(from + step + all.length) % all.length]?.focus();
      event.preventDefault();
    } else if (event.key === 'Escape' || event.key === 'Tab') {
      close();
    }
  }

  return (
    <div class={`menu ${name}`} ref={root} onKeyDown={onKeyDown}>
      <button
        class={look}
        aria-haspopup="menu"
        aria-expanded={open}
        aria-label={label}
        title={label}
        onClick={() => setOpen(!open)}
      >
        {button}
      </button>
      {open && (
        <div class="menu-list" role="menu" aria-label={label}>
          {items.map((item) => (
            <button
              key={item.label}
              role={item.checked === undefined ? 'menuitem' : 'menuitemradio'}
              aria-checked={item.checked}
              tabIndex={-1}
              onClick={() => {
                close();
                item.onChoose();
              }}
            >
              <span class="menu-check">{item.checked && <Icon name="check" size={16} />}</span>
              <span>{item.label}</span>
              {item.detail && <small>{item.detail}</small>}
            </button>
          ))}
        </div>
      )}
    </div>
  );
}
