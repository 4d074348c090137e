// A cover: the picture where there is one, else (and while it loads) colours made from the id. It
// always keeps its square, so nothing moves when the picture arrives.
import { useState } from 'preact/hooks';
import { api } from '../api';
import { gradientCss, initials } from '../art';

interface CoverProps {
  /** Of the album or artist: gives the colours. */
  id: string;
  artId?: string | null;
  title: string;
  /** Pixels it is drawn at, at most: picks the files. */
  size: 64 | 128 | 300 | 600;
  round?: boolean;
  eager?: boolean;
}

const LARGER = { 64: 128, 128: 300, 300: 600, 600: 1200 } as const;

export function Cover({ id, artId, title, size, round, eager }: CoverProps) {
  const [broken, setBroken] = useState<string | null>(null);
  const picture = artId && broken !== artId;
  return (
    <span class={`cover${round ? ' round' : ''}`} style={{ backgroundImage: gradientCss(id) }}>
      {picture ? (
        <img
          src={api.artUrl(artId, size)}
          srcset={`${api.artUrl(artId, size)} 1x, ${api.artUrl(artId, LARGER[size])} 2x`}
          alt=""
          loading={eager ? 'eager' : 'lazy'}
          decoding="async"
          width={size}
          height={size}
          onError={() => setBroken(artId)}
        />
      ) : (
        <span class="initials" aria-hidden="true">
          {initials(title)}
        </span>
      )}
    </span>
  );
}
