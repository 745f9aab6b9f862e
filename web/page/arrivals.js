// Files on their way in: dropped, pasted, chosen.

import { places, remember, stays } from './given.js';

/** Bytes of a file that are taken into the page's memory, of which a browser gives 4 GB. */
const LARGEST = 1.5e9;

/** Takes what is dropped or pasted anywhere on the page. */
export function listen(host) {
  // Before the canvas, which knows no folders.
  addEventListener('drop', (event) => drop(host, event), true);
  addEventListener('dragover', (event) => event.preventDefault());
  addEventListener('paste', (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (files.length > 0) {
      event.preventDefault();
      event.stopPropagation();
      take(host, false, files.map((file) => [file.name, file]));
    }
  }, true);
}

async function drop(host, event) {
  event.preventDefault();
  event.stopPropagation();
  // What hovers is no more.
  host.canvas().dispatchEvent(new DragEvent('dragleave'));
  const { items, files } = event.dataTransfer;
  const entries = [...items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (entries.length === 0) {
    await take(host, false, [...files].map((file) => [file.name, file]));
    return;
  }
  const found = await Promise.all(entries.map((entry) => walk(entry, '')));
  await take(host, false, found.flat());
}

/** The files of a dropped file or folder, with their paths. */
async function walk(entry, above) {
  const path = `${above}${entry.name}`;
  if (entry.isFile) {
    const file = await new Promise((found, lost) => entry.file(found, lost)).catch(() => null);
    return file ? [[path, file]] : [];
  }
  const reader = entry.createReader();
  const inside = [];
  // A reader gives a hundred at a time, and none at the end.
  for (;;) {
    const some = await new Promise((found, lost) => reader.readEntries(found, lost)).catch(() => []);
    if (some.length === 0) {
      break;
    }
    inside.push(...some);
  }
  const found = await Promise.all(inside.map((child) => walk(child, `${path}/`)));
  return found.flat();
}

/** Lets a person choose files, or a folder where the browser can. */
export function choose(host, kinds, folder) {
  const input = Object.assign(document.createElement('input'), { type: 'file', multiple: true });
  if (folder) {
    input.webkitdirectory = true;
  } else {
    input.accept = kinds;
  }
  input.oncancel = () => host.take(true, [], []);
  input.onchange = () => {
    take(host, true, [...input.files].map((file) => [file.webkitRelativePath || file.name, file]));
  };
  input.click();
}

/** Pictures from the clipboard, as far as the browser shows them without a key. */
export async function fromClipboard(host) {
  const items = await navigator.clipboard?.read?.().catch(() => []);
  const files = [];
  for (const item of items ?? []) {
    const kind = item.types.find((type) => type.startsWith('image/'));
    if (kind) {
      const name = `pasted.${kind.slice('image/'.length).replace('jpeg', 'jpg')}`;
      files.push([name, new File([await item.getType(kind)], name, { type: kind })]);
    }
  }
  if (files.length === 0) {
    await host.take(false, [], []);
    return;
  }
  await take(host, false, files);
}

/**
 * Gives files a place in the studio, and opens what a person sees as one: files, and folders.
 * @param {[string, File][]} files
 */
async function take(host, chosen, files) {
  if (files.length === 0 && !chosen) {
    return;
  }
  const placed = places(files);
  const roots = new Set(placed.map(([root]) => root));
  await host.take(chosen, [...roots], placed.map(([, path, file]) => [path, file]));
}

/**
 * Paths, sizes and contents: pictures and videos stay in the browser until somebody reads them, all else is read now.
 * @param {[string, File][]} files
 */
export async function read(files) {
  const contents = await Promise.all(files.map(async ([path, file]) => {
    if (stays(path)) {
      remember(path, file);
      return undefined;
    }
    if (file.size > LARGEST) {
      throw new Error(`${file.name} has ${(file.size / 1e9).toFixed(1)} GB, more than a page can hold: `
        + 'the desktop program takes it.');
    }
    const content = await file.arrayBuffer().catch((error) => {
      throw new Error(`${file.name} can't be read: ${error.message}`);
    });
    return new Uint8Array(content);
  }));
  return [files.map(([path]) => path), Float64Array.from(files, ([, file]) => file.size), contents];
}
