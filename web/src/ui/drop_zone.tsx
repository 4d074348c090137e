// Where files are dropped, or chosen. The whole page takes the drop while this is shown.
import { useEffect, useRef, useState } from 'preact/hooks';
import { tellError } from '../toasts';
import { filesOfDrop, filesOfInput, type DroppedFile } from '../upload/drop';
import { Icon } from './icons';

interface DropZoneProps {
  small?: boolean;
  onFiles: (files: DroppedFile[]) => void;
}

/** Files over the page: true while they hover. */
function useDrop(onFiles: (files: DroppedFile[]) => void): boolean {
  const [over, setOver] = useState(false);
  const handler = useRef(onFiles);
  handler.current = onFiles;
  useEffect(() => {
    const carriesFiles = (event: DragEvent) => event.dataTransfer?.types.includes('Files');
    const onOver = (event: DragEvent) => {
      if (carriesFiles(event)) {
        event.preventDefault();
        setOver(true);
      }
    };
    const onLeave = (event: DragEvent) => event.relatedTarget === null && setOver(false);
    const onDrop = (event: DragEvent) => {
      setOver(false);
      if (carriesFiles(event)) {
        event.preventDefault();
        filesOfDrop(event.dataTransfer!).then((files) => handler.current(files), tellError);
      }
    };
    document.addEventListener('dragover', onOver);
    document.addEventListener('dragleave', onLeave);
    document.addEventListener('drop', onDrop);
    return () => {
      document.removeEventListener('dragover', onOver);
      document.removeEventListener('dragleave', onLeave);
      document.removeEventListener('drop', onDrop);
    };
  }, []);
  return over;
}

interface ChooserProps {
  label: string;
  folder?: boolean;
  onFiles: (files: DroppedFile[]) => void;
}

function Chooser({ label, folder, onFiles }: ChooserProps) {
  return (
    <label class="button">
      {label}
      <input
        type="file"
        class="visually-hidden"
        multiple
        {...(folder ? { webkitdirectory: true } : { accept: 'audio/*,image/*,.flac,.wv,.opus,.aiff,.aif' })}
        onChange={(event) => {
          onFiles(filesOfInput(event.currentTarget.files!));
          event.currentTarget.value = '';
        }}
      />
    </label>
  );
}

export function DropZone({ small, onFiles }: DropZoneProps) {
  const over = useDrop(onFiles);
  return (
    <div class={`drop${over ? ' over' : ''}${small ? ' small' : ''}`}>
      {!small && (
        <>
          <span class="drop-icon">
            <Icon name="upload" size={34} />
          </span>
          <p class="drop-title">Drop an album here</p>
          <p class="drop-note">A folder, or its files, with the cover if you have one. WAV, FLAC, ALAC, AIFF, MP3, AAC, Ogg, Opus or WavPack.</p>
        </>
      )}
      <div class="drop-buttons">
        <Chooser label={small ? 'Add files' : 'Choose files'} onFiles={onFiles} />
        {!small && <Chooser label="Choose a folder" folder onFiles={onFiles} />}
      </div>
    </div>
  );
}
