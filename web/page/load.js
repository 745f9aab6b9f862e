// Fetching with news of how far it is. What stalls is said; what breaks off goes on where it was.

/** How long what is waited for, in milliseconds. */
export const PATIENCE = {
  /** Silence that is worth a word. */
  silent: 5000,
  /** Silence after which somebody else is asked for the rest. */
  hung: 20_000,
  /** Between attempts; they are given up when as many have brought nothing. */
  waits: [1000, 2000, 4000, 8000, 16_000],
  /** Between two words. */
  tick: 500,
};

/** Attempts in all, whatever each has brought. */
const MOST = 40;

/** The server said no; `status` is its number. */
export class Refused extends Error {
  constructor(response) {
    super(`the server says ${response.status} ${response.statusText}`.trim());
    this.status = response.status;
  }
}

/** Nobody answers, or not to the end: another attempt may do better. */
export class Broken extends Error {}

/** A person wants it no more. */
export class Stopped extends Error {
  constructor() {
    super('it was stopped');
  }
}

/** The file is another one than it was when it began. */
export class Changed extends Error {
  constructor() {
    super('it has changed on the server while it was loaded');
  }
}

/**
 * Hears bytes so far, in all (0 where the server does not say), and what is wrong on the way; gives it up by returning false.
 * @typedef {(done: number, total: number, word: string) => boolean | void} Hear
 */

/**
 * Fetches a file. The response's body counts while it is read, and goes on by itself where it breaks off.
 * @param {URL | string} address
 * @param {Hear} [hear]
 * @param {{ headers?: Record<string, string>, cache?: RequestCache, patience?: typeof PATIENCE }} [options]
 * @returns {Promise<Response>} 304 only where `headers` ask for that
 */
export async function load(address, hear = () => true, { headers = {}, cache, patience = PATIENCE } = {}) {
  const way = new Way(address, hear, patience);
  const first = await way.begin({ headers, cache });
  if (first.status === 304) {
    return first;
  }
  const kept = {};
  for (const name of ['content-type', 'content-encoding', 'content-length', 'etag', 'last-modified']) {
    if (first.headers.has(name)) {
      kept[name] = first.headers.get(name);
    }
  }
  const body = new ReadableStream({
    pull: (controller) => way.pull(controller),
    cancel: () => way.end(),
  });
  return new Response(body, { headers: kept });
}

/**
 * The whole content of a file, and the headers that came with it. One that changes meanwhile is begun anew, once.
 * @param {URL | string} address
 * @param {Hear} [hear]
 * @param {Parameters<typeof load>[2]} [options]
 */
export async function whole(address, hear, options) {
  for (let again = 0; ; again += 1) {
    const response = await load(address, hear, options);
    try {
      return { status: response.status, headers: response.headers, bytes: new Uint8Array(await response.arrayBuffer()) };
    } catch (error) {
      if (!(error instanceof Changed) || again > 0) {
        throw error;
      }
    }
  }
}

/** Whether two answers are of the same content, as far as they say: by their tag, else by their date. */
export function same(one, other) {
  for (const [name, plain] of [['etag', tag], ['last-modified', String]]) {
    const [a, b] = [one.headers.get(name), other.headers.get(name)];
    if (a && b) {
      return plain(a) === plain(b);
    }
  }
  return undefined;
}

/** Servers change a tag with how a file is packed on the way. */
const tag = (text) => text.replace(/^W\//, '').replace(/[-;](gzip|br|zstd|deflate)"$/, '"');

/** A file on its way. */
class Way {
  #address;
  #hear;
  #patience;
  #first;
  #reader;
  #stop = new AbortController();
  #done = 0;
  #total = 0;
  /** Attempts since something came, and in all. */
  #vain = 0;
  #tries = 0;

  constructor(address, hear, patience) {
    this.#address = address;
    this.#hear = hear;
    this.#patience = patience;
  }

  /** The first answer. */
  async begin(options) {
    for (;;) {
      try {
        this.#first = await this.#ask(options);
        break;
      } catch (error) {
        // Where nobody has ever answered, the person decides; what hangs is asked once more.
        if (!(error instanceof Broken)) {
          throw error;
        }
        await this.#rest(error);
      }
    }
    const { status, headers, body } = this.#first;
    if (status !== 304) {
      // Of what is packed on the way, the server says how much travels, and the body how much arrives.
      this.#total = headers.has('content-encoding') ? 0 : Number(headers.get('content-length') ?? 0);
      this.#reader = body.getReader();
    }
    return this.#first;
  }

  /** Hands on the next piece. */
  async pull(controller) {
    for (;;) {
      try {
        const { done, value } = await this.#patiently(() => this.#reader.read().catch(broken));
        if (done && this.#done < this.#total) {
          throw new Broken('the connection broke off');
        }
        if (done) {
          controller.close();
          return;
        }
        this.#done += value.byteLength;
        this.#vain = 0;
        this.#say('');
        controller.enqueue(value);
        return;
      } catch (error) {
        this.end();
        if (!(error instanceof Broken)) {
          throw error;
        }
        await this.#again(error);
      }
    }
  }

  end() {
    this.#stop.abort();
    this.#reader?.cancel().catch(() => {});
  }

  /** Goes on where it broke off. */
  async #again(reason) {
    for (;;) {
      await this.#rest(reason);
      try {
        const range = this.#done > 0 ? { range: `bytes=${this.#done}-` } : {};
        const answer = await this.#ask({ headers: range, cache: 'no-store' });
        if (same(answer, this.#first) === false || !this.#continues(answer)) {
          throw new Changed();
        }
        const reader = answer.body.getReader();
        this.#reader = answer.status === 206 ? reader : past(reader, this.#done);
        return;
      } catch (error) {
        if (error instanceof Refused && error.status === 416) {
          throw new Changed();
        }
        if (!(error instanceof Broken || error instanceof Refused || error instanceof TypeError)) {
          throw error;
        }
        reason = error;
      }
    }
  }

  /** Whether an answer is of a file of the same length, from the right place; browsers hide that of other sites. */
  #continues(answer) {
    const [, from, total] = /^bytes (\d+)-\d+\/(\d+)/.exec(answer.headers.get('content-range') ?? '') ?? [];
    const long = Number(total ?? (answer.status === 200 && !answer.headers.has('content-encoding')
      ? answer.headers.get('content-length') : 0) ?? 0);
    return (from === undefined || Number(from) === this.#done) && (!long || !this.#total || long === this.#total);
  }

  /** Waits for the next attempt, or gives up. */
  async #rest(reason) {
    const { waits, tick } = this.#patience;
    if (this.#vain >= waits.length || this.#tries >= MOST) {
      throw new Error(`${reason.message}; ${this.#tries + 1} attempts were made`);
    }
    const until = performance.now() + waits[this.#vain];
    this.#vain += 1;
    this.#tries += 1;
    for (let left = until - performance.now(); left > 0; left = until - performance.now()) {
      this.#say(`${reason.message}, again in ${Math.ceil(left / 1000)} s`);
      await new Promise((later) => setTimeout(later, Math.min(left, tick)));
    }
  }

  /** One request. */
  async #ask({ headers, cache }) {
    const address = allowed(this.#address);
    this.#stop = new AbortController();
    const { signal } = this.#stop;
    const response = await this.#patiently(() => ask(address, { headers, signal, ...(cache && { cache }) }));
    if (!response.ok && response.status !== 304) {
      this.end();
      throw new Refused(response);
    }
    if (/^text\/html\b/.test(response.headers.get('content-type') ?? '')) {
      this.end();
      throw new Error('the answer is a web page, not a file: perhaps there is no file of this name');
    }
    return response;
  }

  /** Waits for something, says that nothing comes, and ends it at last. */
  #patiently(work) {
    const { silent, hung, tick } = this.#patience;
    const start = performance.now();
    return new Promise((resolve, reject) => {
      const timer = setInterval(() => {
        const passed = performance.now() - start;
        const seconds = `no answer for ${Math.floor(passed / 1000)} s`;
        try {
          if (passed >= hung) {
            throw new Broken(seconds);
          }
          this.#say(passed >= silent ? seconds : '');
        } catch (error) {
          clearInterval(timer);
          reject(error);
          this.end();
        }
      }, tick);
      work().then(resolve, reject).finally(() => clearInterval(timer));
    });
  }

  #say(word) {
    if (this.#hear(this.#done, this.#total, word) === false) {
      throw new Stopped();
    }
  }
}

/** A body that breaks off. */
function broken() {
  throw new Broken('the connection broke off');
}

/** A reader of what lies behind `bytes` bytes, for servers that always begin at the beginning. */
function past(reader, bytes) {
  return {
    cancel: () => reader.cancel(),
    async read() {
      for (;;) {
        const piece = await reader.read();
        if (piece.done || bytes === 0) {
          return piece;
        }
        const rest = piece.value.subarray(Math.min(bytes, piece.value.length));
        bytes -= piece.value.length - rest.length;
        if (rest.length > 0) {
          return { done: false, value: rest };
        }
      }
    },
  };
}

/** The address, if the page may ask it at all. */
function allowed(address) {
  const here = globalThis.location;
  const url = new URL(address, here?.href);
  const elsewhere = here && url.origin !== here.origin;
  if (elsewhere && url.protocol !== 'https:') {
    throw new Error(`only https addresses can be opened, or files beside the page; this one begins with ${url.protocol}`);
  }
  return url;
}

/** One request, with a reason in words where there is no answer. */
async function ask(url, options) {
  let refused = false;
  const here = globalThis.document;
  const note = ({ blockedURI, disposition }) => {
    refused ||= disposition !== 'report' && (blockedURI === url.href || blockedURI === url.origin);
  };
  here?.addEventListener('securitypolicyviolation', note);
  try {
    return await fetch(url, options);
  } catch (error) {
    // What the policy forbids is told a little later.
    await new Promise((later) => setTimeout(later, 20));
    const { location, navigator } = globalThis;
    const elsewhere = location && url.origin !== location.origin;
    throw new TypeError(
      refused ? `this page's Content-Security-Policy does not allow ${url.origin}; its host can`
      : navigator?.onLine === false ? 'there is no network'
      : elsewhere ? 'the server is not there, or does not allow pages from elsewhere (CORS)'
      : 'the server does not answer',
      { cause: error },
    );
  } finally {
    here?.removeEventListener('securitypolicyviolation', note);
  }
}
