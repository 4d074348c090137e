// What a playlist looks like: the server's picture of its albums' covers. Only its people may ask for
// it, so it is fetched as they are signed in, once it comes into view.
import { useEffect, useRef, useState } from 'preact/hooks';
import { api } from '../api';
import { gradientCss, initials } from '../art';

export function Mosaic({ id, title }: { id: string; title: string }) {
  const [src, setSrc] = useState<string | null>(null);
  const square = useRef<HTMLSpanElement>(null);
  useEffect(() => {
    let made: string | null = null;
    let gone = false;
    const show = async () => {
      const picture = await api.playlistCover(id).catch(() => null);
      if (picture?.size && !gone) { // empty: it has none
        made = URL.createObjectURL(picture);
        setSrc(made);
      }
    };
    const seen = new IntersectionObserver((entries) => {
      if (entries.some((entry) => entry.isIntersecting)) {
        seen.disconnect();
        void show();
      }
    });
    seen.observe(square.current!);
    return () => {
      gone = true;
      seen.disconnect();
      if (made) URL.revokeObjectURL(made);
    };
  }, [id]);
  return (
    <span class="cover" ref={square} style={{ backgroundImage: gradientCss(id) }}>
      {src ? <img src={src} alt="" onError={() => setSrc(null)} /> : <span class="initials" aria-hidden="true">{initials(title)}</span>}
    </span>
  );
}
