// Pictures that not everybody may see: an <img> sends no token and is answered that there is none, so
// they are fetched with it. Which they are is learnt from the first <img> that failed.
import { useEffect, useState } from 'preact/hooks';
import { api, type ArtSize } from '../api';

const closed = new Set<string>();

export function noteClosed(artId: string): void {
  closed.add(artId);
}

export function isClosed(artId: string): boolean {
  return closed.has(artId);
}

/** An address of the picture, for as long as it is asked for. undefined: not yet; null: there is none. */
export function useOwnPicture(artId: string | null, size: ArtSize): string | null | undefined {
  const [picture, setPicture] = useState<{ artId: string; url: string | null } | null>(null);
  useEffect(() => {
    if (!artId) {
      return undefined;
    }
    let url: string | null = null;
    let wanted = true;
    const show = (blob: Blob | null) => {
      if (wanted) {
        url = blob && URL.createObjectURL(blob);
        setPicture({ artId, url });
      }
    };
    api.art(artId, size).then(show, () => show(null));
    return () => {
      wanted = false;
      if (url) {
        URL.revokeObjectURL(url);
      }
    };
  }, [artId, size]);
  return picture && picture.artId === artId ? picture.url : undefined;
}
