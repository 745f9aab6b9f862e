// Files that a person has given to the page. They stay in the browser until somebody reads them.

/** What is decoded in a worker and stays in the browser until then. */
const PICTURES = /\.(jpe?g|png|webp|gif|bmp|tiff?)$/i;

/** What the browser plays: its frames are taken from it as they are needed. */
const VIDEOS = /\.(mp4|m4v|webm|mov|mkv|ogv)$/i;

/** Where pictures lie that came in no folder: all of them, so that they can be trained on together (`platform/names.rs`). */
const LOOSE = '/given/loose pictures';

/** @type {Map<string, File>} */
const files = new Map();
/** Names of loose pictures, with what they were given to. */
const loose = new Map();
let deliveries = 0;

/** Whether a file is a picture. */
function isPicture(path) {
  return PICTURES.test(path);
}

/** Whether a file stays in the browser until a worker reads it, or it is played. */
export function stays(path) {
  return PICTURES.test(path) || VIDEOS.test(path);
}

/**
 * Places in the studio for what comes in now: each as it is called, in a folder of this delivery, or among the loose pictures.
 * @param {[string, File][]} files names or paths, with the files
 * @returns {[string, string, File][]} what a person sees as one, its place, and the file
 */
export function places(files) {
  deliveries += 1;
  return files.map(([path, file]) => {
    const [first, ...below] = path.split('/');
    const isLoose = below.length === 0 && isPicture(path);
    const root = isLoose ? `${LOOSE}/${free(first, file)}` : `/given/${deliveries}/${first}`;
    return [root, [root, ...below].join('/'), file];
  });
}

/** A name for a loose picture that no other one has. */
function free(name, file) {
  const same = (other) => other.size === file.size && other.lastModified === file.lastModified;
  const [, stem, kind] = /^(.*?)(\.[^.]*)?$/.exec(name);
  for (let number = 1; ; number += 1) {
    const tried = number === 1 ? name : `${stem} (${number})${kind ?? ''}`;
    if (!loose.has(tried) || same(loose.get(tried))) {
      loose.set(tried, file);
      return tried;
    }
  }
}

/** Remembers a file under the path that the studio knows it by. */
export function remember(path, file) {
  files.set(path, file);
}

/** The files at or below a path, for a worker. */
export function below(path) {
  const file = files.get(path);
  if (file) {
    return [[path, file]];
  }
  const folder = path.endsWith('/') ? path : `${path}/`;
  return path.length > 1 ? [...files].filter(([name]) => name.startsWith(folder)) : [];
}
