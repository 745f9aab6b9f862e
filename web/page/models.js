// Models from the network. One that could be opened is kept in this browser; each time its server is asked whether it is
// still the newest, and what is kept is taken where nobody answers.

import { PATIENCE, Stopped, load, same, whole } from './load.js';

const KEPT = 'dinoscope-models';
/** Files of this many bytes are worth being kept. */
const WORTH = 1 << 20;
/** What is kept looks sooner than that for an answer, in milliseconds. */
const PROMPT = { ...PATIENCE, silent: 2000, hung: 5000, waits: [] };
/** What tells one version of a file from another. */
const VERSION = ['etag', 'last-modified'];

const cache = async () => globalThis.caches?.open(KEPT).catch(() => undefined);

export class Models {
  /** What was fetched and is not known to be a model yet: content and headers, or nothing where it was kept already. */
  #unopened = new Map();

  /**
   * The content of a model's file.
   * @param {string} address
   * @param {import('./load.js').Hear} hear
   * @returns {Promise<Uint8Array>}
   */
  async fetch(address, hear) {
    const kept = await (await cache())?.match(address);
    const found = kept ? await this.#ask(address, kept, hear) : await whole(address, hear);
    if (!found) {
      this.#unopened.set(address, null);
      return new Uint8Array(await kept.arrayBuffer());
    }
    const { bytes, headers } = found;
    const version = VERSION.filter((name) => headers.has(name)).map((name) => [name, headers.get(name)]);
    // The browser may put it on its disk.
    this.#unopened.set(address, { content: new Blob([bytes]), version });
    return bytes;
  }

  /**
   * Keeps what was fetched, now that it could be opened; forgets what could not, also where it was kept before.
   * @param {string} address
   * @param {boolean} good
   */
  async opened(address, good) {
    const fetched = this.#unopened.get(address);
    this.#unopened.delete(address);
    const place = await cache();
    if (!good) {
      await place?.delete(address);
    } else if (fetched && fetched.content.size >= WORTH) {
      const headers = { ...Object.fromEntries(fetched.version), 'content-length': String(fetched.content.size) };
      // A cache that is full costs time the next time.
      await place?.put(address, new Response(fetched.content, { headers }))
        .catch((error) => console.warn(`${address} is not kept: ${error.message}`));
    }
  }

  /** What is kept: addresses and bytes. @returns {Promise<[string, number][]>} */
  async list() {
    const place = await cache();
    return Promise.all((await place?.keys() ?? []).map(async ({ url }) => {
      const kept = await place.match(url);
      return [url, Number(kept.headers.get('content-length')) || (await kept.blob()).size];
    }));
  }

  /** @param {string} address */
  async remove(address) {
    await (await cache())?.delete(address);
  }

  /** What is newer than what is kept; nothing where that is still right, or nobody can say. */
  async #ask(address, kept, hear) {
    const here = new URL(address, location.href).origin === location.origin;
    const version = VERSION.some((name) => kept.headers.has(name));
    try {
      if (!here && version) {
        // Other sites may not be asked on conditions without asking for that first, which many refuse.
        const now = await this.#head(address);
        const unchanged = now && (same(now, kept) ?? true);
        return unchanged === false ? await whole(address, hear, { cache: 'no-cache' }) : null;
      }
      const headers = here ? conditions(kept) : {};
      const answer = await load(address, hear, { headers, cache: version ? 'no-store' : 'no-cache', patience: PROMPT });
      if (answer.status === 304) {
        return null;
      }
      return { headers: answer.headers, bytes: new Uint8Array(await answer.arrayBuffer()) };
    } catch (error) {
      if (error instanceof Stopped) {
        throw error;
      }
      if (error.status === 404 || error.status === 410) {
        await this.remove(address);
        throw error;
      }
      console.warn(`${address}: ${error.message}; what was kept of it is used`);
      return null;
    }
  }

  /** What a server says of a file, without the file; nothing where it says nothing. */
  async #head(address) {
    const options = { method: 'HEAD', cache: 'no-store', signal: AbortSignal.timeout(PROMPT.hung) };
    const answer = await fetch(address, options).catch(() => undefined);
    return answer?.ok ? answer : undefined;
  }
}

/** Asks for a file only if it is another one than what is kept. */
function conditions(kept) {
  const [etag, date] = VERSION.map((name) => kept.headers.get(name));
  return { ...(etag && { 'if-none-match': etag }), ...(date && { 'if-modified-since': date }) };
}
