// Files out of a drop or a file chooser, folders walked through.
import { isAudio, isImage } from './names';

export interface DroppedFile {
  file: File;
  /** The folder it lay in, "" for none; the innermost name only. */
  folder: string;
  /** The outermost folder that was dropped. */
  root: string;
}

const FILES_MAX = 500;

function readAll(directory: FileSystemDirectoryEntry): Promise<FileSystemEntry[]> {
  const reader = directory.createReader();
  const all: FileSystemEntry[] = [];
  return new Promise((resolve, reject) => {
    const more = () =>
      reader.readEntries((entries) => {
        all.push(...entries);
        if (entries.length === 0 || all.length >= FILES_MAX) {
          resolve(all);
        } else {
          more();
        }
      }, reject);
    more();
  });
}

async function walk(entry: FileSystemEntry, folder: string, root: string): Promise<DroppedFile[]> {
  if (entry.isFile) {
    const file = await new Promise<File>((resolve, reject) =>
      (entry as FileSystemFileEntry).file(resolve, reject),
    );
    return [{ file, folder, root }];
  }
  const inside = await readAll(entry as FileSystemDirectoryEntry);
  const lists = await Promise.all(inside.map((e) => walk(e, entry.name, root || entry.name)));
  return lists.flat();
}

const useful = ({ file }: DroppedFile) =>
  !file.name.startsWith('.') && file.size > 0 && (isAudio(file.name) || isImage(file.name));

export async function filesOfDrop(transfer: DataTransfer): Promise<DroppedFile[]> {
  // The entries must be taken before the first await: the browser empties the list after the event.
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.() ?? null);
  const plain = [...transfer.files];
  const lists = entries.some((entry) => entry !== null)
    ? await Promise.all(entries.map((entry) => (entry ? walk(entry, '', '') : [])))
    : [plain.map((file) => ({ file, folder: '', root: '' }))];
  return lists.flat().filter(useful).slice(0, FILES_MAX);
}

export function filesOfInput(list: FileList): DroppedFile[] {
  return [...list]
    .map((file) => {
      const path = (file.webkitRelativePath ?? '').split('/').filter(Boolean);
      return { file, folder: path.at(-2) ?? '', root: path.length > 1 ? path[0]! : '' };
    })
    .filter(useful)
    .slice(0, FILES_MAX);
}
