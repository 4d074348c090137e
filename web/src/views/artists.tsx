// All artists under their letters. A letter shows the list from where it begins.
import { useState } from 'preact/hooks';
import { api } from '../api';
import { plural } from '../format';
import type { Artist, Letter } from '../types';
import { Cover } from '../ui/cover';
import { More } from '../ui/more';
import { useResource } from '../ui/resource';
import { Empty, Failed } from '../ui/states';

interface LettersProps {
  letters: Letter[];
  at: Letter | undefined;
  onChoose: (letter: Letter) => void;
}

function Letters({ letters, at, onChoose }: LettersProps) {
  return (
    <nav class="letters" aria-label="Letters">
      {letters.map((one) => (
        <button
          key={one.letter}
          title={plural(one.artists, 'artist')}
          aria-label={`${one.letter}, ${plural(one.artists, 'artist')}`}
          aria-current={one === at ? 'true' : undefined}
          onClick={() => onChoose(one)}
        >
          {one.letter}
        </button>
      ))}
    </nav>
  );
}

/** A heading where a new letter begins. */
function sections(artists: Artist[]): [string, Artist[]][] {
  const found: [string, Artist[]][] = [];
  for (const artist of artists) {
    const letter = artist.indexLetter ?? '';
    if (found.at(-1)?.[0] !== letter) {
      found.push([letter, []]);
    }
    found.at(-1)![1].push(artist);
  }
  return found;
}

function Sections({ artists }: { artists: Artist[] }) {
  return (
    <>
      {sections(artists).map(([letter, list]) => (
        <section key={letter} aria-label={letter}>
          <h2 class="letter">{letter}</h2>
          <ul class="people">
            {list.map((artist) => (
              <li key={artist.id}>
                <a href={`artist/${artist.id}`}>
                  <Cover id={artist.id} artId={artist.imageArtId} title={artist.name} size={64} round />
                  <span>{artist.name}</span>
                </a>
              </li>
            ))}
          </ul>
        </section>
      ))}
    </>
  );
}

function List({ from }: { from: string | undefined }) {
  const first = useResource(`artists-${from ?? ''}`, () => api.artists(from));
  if (first.kind !== 'there') {
    return first.kind === 'failed' ? <Failed {...first} /> : <p aria-busy="true" />;
  }
  return (
    <More key={from ?? ''} first={first.value} load={api.artists}>
      {(artists) => <Sections artists={artists} />}
    </More>
  );
}

export function ArtistsPage() {
  const index = useResource('artist-index', api.artistIndex);
  const [at, setAt] = useState<Letter>();
  const letters = index.kind === 'there' ? index.value.letters : [];
  return (
    <main>
      <h1 class="page-title">Artists</h1>
      {index.kind === 'failed' && <Failed {...index} />}
      {index.kind === 'there' && letters.length === 0 && (
        <Empty title="No artists here yet">
          <p>They appear here with the first music.</p>
        </Empty>
      )}
      {letters.length > 0 && (
        <>
          <Letters letters={letters} at={at} onChoose={setAt} />
          <List from={at?.cursor} />
        </>
      )}
    </main>
  );
}
