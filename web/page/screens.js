// What the page shows beside the studio: loading, a note, and why it has stopped.

const element = (id) => document.getElementById(id);

/**
 * Why the page can't go on. `cause` chooses the advice: `network`, `host` (a file is missing), `policy`, `damaged`, `drawing`,
 * or `fault` (the program broke off).
 */
export class Trouble extends Error {
  constructor(cause, message) {
    super(message);
    this.cause = cause;
  }
}

/**
 * A size as the program itself shows it: in steps of a thousand.
 *
 * @param {number} bytes
 */
export const size = (bytes) => {
  if (bytes < 1000) return `${bytes} B`;
  if (bytes < 999_500) return `${(bytes / 1e3).toFixed(0)} kB`;
  if (bytes < 999.5e6) return `${(bytes / 1e6).toFixed(bytes < 9.95e6 ? 1 : 0)} MB`;
  return `${(bytes / 1e9).toFixed(bytes < 99.95e9 ? 1 : 0)} GB`;
};

/**
 * How many bytes are loaded. Of how many the build has written into the page: servers that compress don't say.
 * @param {number} done
 * @param {string} word what is wrong on the way
 */
export function progress(done, word) {
  const bar = element('loading-bar');
  const total = Number(bar.dataset.bytes);
  if (total > 0) {
    bar.max = total;
    bar.value = done;
  } else {
    bar.removeAttribute('value');
  }
  const text = total > 0 ? `${size(done)} of ${size(total)}` : size(done);
  element('loading-text').textContent = word ? `${text}, ${word}` : text;
}

/** The studio draws. */
export function ready() {
  element('loading').hidden = true;
  document.body.dataset.state = 'ready';
}

/** Something that holds for the whole visit: above the studio, until it is closed. */
export function note(reason) {
  element('note-reason').textContent = reason;
  element('note').hidden = false;
  element('note-close').onclick = () => {
    element('note').hidden = true;
  };
}

/** A new version is there. Nothing changes until somebody reloads the page; one that would lose a run asks first. */
export function offer() {
  element('update').hidden = false;
  element('update-reload').onclick = () => location.reload();
  element('update-close').onclick = () => {
    element('update').hidden = true;
  };
}

/** The studio can't go on; says why, and the ways on that fit the cause. */
export function stopped(reason, cause = 'fault') {
  if (document.body.dataset.state === 'failed') {
    return;
  }
  element('stopped-reason').textContent = reason;
  element('stopped').dataset.cause = cause;
  element('stopped-title').textContent = ['fault', 'drawing'].includes(cause) ? 'The studio has stopped' : 'The studio can\'t start';
  for (const way of element('stopped').querySelectorAll('[data-for]')) {
    way.hidden = !way.dataset.for.split(' ').includes(cause);
  }
  element('loading').hidden = true;
  element('stopped').hidden = false;
  document.body.dataset.state = 'failed';
  element('stopped-again').onclick = () => location.reload();
  element('stopped-cpu').onclick = () => {
    const address = new URL(location.href);
    address.searchParams.set('device', 'cpu');
    location.replace(address);
  };
}
