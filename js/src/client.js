// Who calls an engine: through a worker, so that the page stays responsive, or in the page itself.

import { DinoscopeError, asError, crashed } from './error.js';

/**
 * @typedef {{ loaded: number, total: number | undefined }} Progress
 * @typedef {{ signal?: AbortSignal, hear?: (progress: Progress) => void }} How
 * @typedef {object} Client
 * @property {(method: string, options?: object, transfer?: Transferable[], how?: How) => Promise<any>} call
 * @property {(error: DinoscopeError) => void} close Ends it; what is pending is rejected with `error`.
 * @property {boolean} worker Whether it computes in a worker.
 */

/**
 * Starts an engine.
 * @param {{ worker: boolean, wasm?: string } & How} options
 * @returns {Promise<Client>}
 */
export async function connect({ worker, wasm, signal, hear }) {
  const client = (worker && await inWorker()) || await inPage();
  try {
    await client.call('start', { wasm }, [], { signal, hear });
    return client;
  } catch (thrown) {
    client.close(asError(thrown));
    throw signal?.aborted ? thrown : asError(thrown);
  }
}

/**
 * A client whose engine is in a worker; null where the page may not have one: its Content-Security-Policy forbids it,
 * or the package comes from another site.
 * @returns {Promise<Client | null>}
 */
async function inWorker() {
  /** @type {Worker} */
  let worker;
  try {
    worker = new Worker(new URL('./worker.js', import.meta.url), { type: 'module', name: 'dinoscope' });
  } catch {
    return null;
  }
  const started = await new Promise((settle) => {
    worker.onmessage = () => settle(true);
    worker.onerror = (event) => {
      event.preventDefault();
      settle(false);
    };
  });
  if (!started) {
    worker.terminate();
    return null;
  }
  return new WorkerClient(worker);
}

/** @returns {Promise<Client>} */
async function inPage() {
  const { Engine } = await import('./engine.js').catch((cause) => {
    const hint = 'Are all files of the package served, and does the page\'s Content-Security-Policy allow them?';
    throw new DinoscopeError('program', `Dinoscope's scripts did not load: ${cause.message}. ${hint}`, { cause });
  });
  return new PageClient(new Engine());
}

/**
 * @typedef {object} Call
 * @property {(value: any) => void} resolve
 * @property {(error: unknown) => void} reject
 * @property {(progress: Progress) => void} [hear]
 * @property {() => void} end Listens to no signal any more.
 */

/** What is asked for and not answered, and how everything ended. */
class Calls {
  /** @type {Map<number, Call>} */
  #open = new Map();
  /** @type {DinoscopeError | undefined} */
  ended;
  #next = 0;

  /**
   * @param {(id: number) => void} send
   * @param {(id: number) => void} stop tells whoever works on it that nobody waits any more
   * @param {How} how
   */
  add(send, stop, { signal, hear }) {
    return new Promise((resolve, reject) => {
      if (this.ended || signal?.aborted) {
        reject(this.ended ?? signal?.reason);
        return;
      }
      const id = this.#next++;
      const abort = () => {
        if (this.take(id)) {
          stop(id);
          reject(signal?.reason);
        }
      };
      signal?.addEventListener('abort', abort, { once: true });
      this.#open.set(id, { resolve, reject, hear, end: () => signal?.removeEventListener('abort', abort) });
      try {
        send(id);
      } catch (thrown) {
        this.take(id);
        reject(new DinoscopeError('argument', /** @type {Error} */ (thrown).message, { cause: thrown }));
      }
    });
  }

  /** @param {number} id */
  take(id) {
    const call = this.#open.get(id);
    this.#open.delete(id);
    call?.end();
    return call;
  }

  /**
   * @param {number} id
   * @param {Progress} progress
   */
  hear(id, progress) {
    this.#open.get(id)?.hear?.(progress);
  }

  /** @param {DinoscopeError} error */
  end(error) {
    this.ended ??= error;
    for (const { reject, end } of this.#open.values()) {
      end();
      reject(error);
    }
    this.#open.clear();
  }
}

/** @implements {Client} */
class WorkerClient {
  worker = true;
  #calls = new Calls();
  #worker;

  /** @param {Worker} worker */
  constructor(worker) {
    this.#worker = worker;
    worker.onmessage = ({ data: { id, value, error, progress } }) => {
      if (progress) {
        this.#calls.hear(id, progress);
        return;
      }
      const call = this.#calls.take(id);
      if (!error) {
        call?.resolve(value);
        return;
      }
      const failure = new DinoscopeError(error.code, error.message);
      call?.reject(failure);
      if (error.code === 'crash' || error.code === 'lost') {
        this.close(failure);
      }
    };
    // Not every browser tells the worker of its own broken program; all tell the page.
    worker.onerror = (event) => {
      setTimeout(() => this.close(new DinoscopeError('crash', crashed(event.message || 'no reason was given'))), 500);
    };
  }

  /**
   * @param {string} method
   * @param {object} [options]
   * @param {Transferable[]} [transfer]
   * @param {How} [how]
   */
  call(method, options = {}, transfer = [], how = {}) {
    const send = (/** @type {number} */ id) => this.#worker.postMessage({ id, method, options }, transfer);
    return this.#calls.add(send, (id) => this.#worker.postMessage({ id, stop: true }), how);
  }

  /** @param {DinoscopeError} error */
  close(error) {
    this.#calls.end(error);
    this.#worker.terminate();
  }
}

/** @implements {Client} */
class PageClient {
  worker = false;
  #calls = new Calls();
  #engine;

  /** @param {import('./engine.js').Engine} engine */
  constructor(engine) {
    this.#engine = engine;
  }

  /**
   * @param {string} method
   * @param {object} [options]
   * @param {Transferable[]} [_] Nothing travels.
   * @param {How} [how]
   */
  call(method, options = {}, _ = [], how = {}) {
    let stopped = false;
    const send = (/** @type {number} */ id) => {
      this.#engine.call(method, options, { stopped: () => stopped, hear: how.hear }).then(
        (value) => this.#calls.take(id)?.resolve(value),
        (thrown) => this.#calls.take(id)?.reject(asError(thrown)),
      );
    };
    return this.#calls.add(send, () => {
      stopped = true;
    }, how);
  }

  /** @param {DinoscopeError} error */
  close(error) {
    this.#calls.end(error);
    // After what is under way; an engine that broke has nothing left to close.
    this.#engine.call('close', {}).catch(() => {});
  }
}
