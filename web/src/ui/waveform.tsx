// The track's shape behind the seek bar, as two copies of one path: what is heard and what is to come.
import { useEffect, useState } from 'preact/hooks';
import { waveform } from '../player/waveform';

export function Waveform({ trackId }: { trackId: string }) {
  const [path, setPath] = useState<{ id: string; d: string } | null>(null);
  useEffect(() => {
    let current = true;
    waveform(trackId).then(
      (d) => current && setPath(d ? { id: trackId, d } : null),
      () => current && setPath(null),
    );
    return () => {
      current = false;
    };
  }, [trackId]);
  if (path?.id !== trackId) {
    return null;
  }
  const shape = <path d={path.d} fill="currentColor" />;
  return (
    <>
      <svg class="wave rest" viewBox="0 0 240 32" preserveAspectRatio="none" aria-hidden="true">
        {shape}
      </svg>
      <svg class="wave heard" viewBox="0 0 240 32" preserveAspectRatio="none" aria-hidden="true">
        {shape}
      </svg>
    </>
  );
}
