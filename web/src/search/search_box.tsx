// The search box in the bar: finds as one types (WAI-ARIA combobox pattern). "/" goes there, arrows choose, Enter
// plays a song or opens the rest, Escape closes.
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { api } from '../api';
import { playTracks } from '../player/player';
import { go } from '../router';
import { tellError } from '../toasts';
import type { Found } from '../types';
import { Cover } from '../ui/cover';
import { Icon } from '../ui/icons';
import { Asker, type Asked } from './asker';
import { groupsOf, stepped, type Choice, type Group } from './choices';

const OF_EACH = 5;

interface ListProps {
  groups: Group[];
  asked: Asked<Found>;
  active: number;
  onPoint: (number: number) => void;
  onChoose: (choice: Choice) => void;
}

function FoundList({ groups, asked, active, onPoint, onChoose }: ListProps) {
  return (
    <div class="found" id="found" role="listbox" aria-label="Found">
      {groups.length === 0 && <p class="found-none">Nothing is called “{asked.text}”.</p>}
      {groups.map((group) => (
        <div key={group.title} role="group" aria-label={group.title}>
          <p class="found-kind" aria-hidden="true">
            {group.title}
          </p>
          {group.choices.map((choice, i) => {
            const number = group.first + i;
            return (
              <div
                key={choice.id}
                id={`found-${number}`}
                role="option"
                aria-selected={number === active}
                class={`found-row${number === active ? ' active' : ''}`}
                onPointerMove={() => onPoint(number)}
                onPointerDown={(event) => event.preventDefault()}
                onClick={() => onChoose(choice)}
              >
                <Cover id={choice.coverId} artId={choice.artId} title={choice.title} size={64} round={choice.kind === 'artist'} />
                <span class="found-title">{choice.title}</span>
                <span class="found-note">{choice.note}</span>
              </div>
            );
          })}
        </div>
      ))}
    </div>
  );
}

/** "/" anywhere but in a field. */
function useSlash(focus: () => void): void {
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      const field = event.target instanceof Element && event.target.closest('input, textarea, select, [contenteditable]');
      if (event.key === '/' && !field && !event.ctrlKey && !event.metaKey && !event.altKey) {
        event.preventDefault();
        focus();
      }
    };
    document.addEventListener('keydown', onKey);
    return () => document.removeEventListener('keydown', onKey);
  }, []);
}

export function SearchBox() {
  const input = useRef<HTMLInputElement>(null);
  const [text, setText] = useState('');
  const [open, setOpen] = useState(false);
  const [active, setActive] = useState(-1);
  const [asked, setAsked] = useState<Asked<Found> | null>(null);
  const asker = useMemo(
    () =>
      new Asker<Found>(
        (words, signal) => api.search(words, OF_EACH, signal),
        (answer) => {
          setAsked(answer);
          setActive(answer && groupsOf(answer.answer).length > 0 ? 0 : -1);
        },
        tellError,
      ),
    [],
  );
  const groups = useMemo(() => (asked ? groupsOf(asked.answer) : []), [asked]);
  const choices = groups.flatMap((group) => group.choices);
  const shown = open && asked !== null;
  const isCurrent = asked?.text === text.trim();
  useSlash(() => input.current?.select());
  useEffect(() => () => asker.stop(), [asker]);

  function type(value: string): void {
    setText(value);
    setOpen(true);
    asker.type(value);
  }

  function close(): void {
    setOpen(false);
    asker.whenAnswered(null);
  }

  function choose(choice: Choice, found: Found): void {
    close();
    input.current?.blur();
    go(choice.path);
    const track = found.tracks.find((one) => choice.kind === 'track' && one.id === choice.id);
    if (track) {
      void playTracks([track]);
    }
  }

  /** What is chosen of the answer to what stands there; its first when the answer is still to come. */
  function enter(): void {
    const number = isCurrent ? active : 0;
    asker.whenAnswered(({ answer }) => {
      const choice = groupsOf(answer).flatMap((group) => group.choices)[number];
      if (choice) {
        choose(choice, answer);
      }
    });
  }

  function onKeyDown(event: KeyboardEvent): void {
    const step = ({ ArrowDown: 1, ArrowUp: -1 } as const)[event.key as 'ArrowDown' | 'ArrowUp'];
    if (step) {
      event.preventDefault();
      asker.whenAnswered(null);
      setOpen(true);
      setActive(stepped(active, step, choices.length));
    } else if (event.key === 'Enter' && open) {
      enter();
    } else if (event.key === 'Escape') {
      if (shown) {
        close();
      } else {
        type('');
      }
    }
  }

  return (
    <div class="search" role="search">
      <Icon name="search" size={18} />
      <input
        ref={input}
        type="text"
        role="combobox"
        aria-label="Search songs, albums, artists and playlists"
        aria-expanded={shown}
        aria-controls="found"
        aria-autocomplete="list"
        aria-activedescendant={shown && active >= 0 ? `found-${active}` : undefined}
        autocomplete="off"
        spellcheck={false}
        maxLength={500}
        placeholder="Search"
        value={text}
        onInput={(event) => type(event.currentTarget.value)}
        onKeyDown={onKeyDown}
        onFocus={() => setOpen(true)}
        onBlur={close}
      />
      {shown && <FoundList groups={groups} asked={asked} active={active} onPoint={setActive} onChoose={(choice) => choose(choice, asked.answer)} />}
      <span class="found-count" role="status">
        {shown ? `${choices.length} found` : ''}
      </span>
    </div>
  );
}
