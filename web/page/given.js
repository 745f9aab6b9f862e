// Files that a person has given to the page. They stay in the browser until somebody reads them.

/** @type {Map<string, File>} */
const files = new Map();
let deliveries = 0;

/** A folder of the studio's for what comes in now. */
export function delivery() {
  deliveries += 1;
  return `/given/${deliveries}`;
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
