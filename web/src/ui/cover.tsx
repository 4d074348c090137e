// A cover: the picture where there is one, else (and while it loads) colours made from the id. It
// always keeps its square, so nothing moves when the picture arrives.
import { useState } from 'preact/hooks';
import { api } from '../api';
import { gradientCss, initials } from '../art';
import { isClosed, noteClosed, useOwnPicture } from './own_picture';

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

interface PictureProps {
  artId: string;
  size: CoverProps['size'];
  eager?: boolean;
  onError: () => void;
}

/** Everybody's picture: the browser picks the file and keeps it. */
function OpenPicture({ artId, size, eager, onError }: PictureProps) {
  return (
    <img
      src={api.artUrl(artId, size)}
      srcset={`${api.artUrl(artId, size)} 1x, ${api.artUrl(artId, LARGER[size])} 2x`}
      alt=""
      loading={eager ? 'eager' : 'lazy'}
      decoding="async"
      width={size}
      height={size}
      onError={onError}
    />
  );
}

export function Cover({ id, artId, title, size, round, eager }: CoverProps) {
  const [failed, setFailed] = useState<string | null>(null); // its <img>, of whichever kind
  const own = artId && isClosed(artId) ? artId : null;
  const url = useOwnPicture(own, window.devicePixelRatio > 1 ? LARGER[size] : size);
  const open = artId && !own;
  const fail = () => {
    if (open) {
      noteClosed(artId);
    }
    setFailed(`${artId} ${open ? 'open' : 'own'}`);
  };
  const broken = !artId || (own && (url === null || failed === `${artId} own`));
  return (
    <span class={`cover${round ? ' round' : ''}`} style={{ backgroundImage: gradientCss(id) }}>
      {open ? <OpenPicture artId={artId} size={size} eager={eager} onError={fail} /> : null}
      {own && url && !broken ? <img src={url} alt="" decoding="async" width={size} height={size} onError={fail} /> : null}
      {broken ? (
        <span class="initials" aria-hidden="true">
          {initials(title)}
        </span>
      ) : null}
    </span>
  );
}
