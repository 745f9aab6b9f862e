// Who calls an engine: through a worker, so that the page stays responsive, or in the page itself.

import { DinoscopeError, asError, crashed } from './error.js';

/**
 * @typedef {object} Client
 * @property {(method: string, options?: object, transfer?: Transferable[]) => Promise<any>} call
 * @property {(error: DinoscopeError) => void} close Ends it; what is pending is rejected with `error`.
 * @property {boolean} worker Whether it computes in a worker.
 */

/**
 * Starts an engine.
 * @param {{ worker: boolean, wasm?: string }} options
 * @returns {Promise<Client>}
 */
export async function connect({ worker, wasm }) {
  const client = (worker && await inWorker()) || await inPage();
  try {
    await client.call('start', { wasm });
    return client;
  } catch (thrown) {
    const error = asError(thrown);
    client.close(error);
    throw error;
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

/** What is asked for and not answered, and how everything ended. */
class Calls {
  /** @type {Map<number, { resolve: (value: any) => void, reject: (error: DinoscopeError) => void }>} */
  #open = new Map();
  /** @type {DinoscopeError | undefined} */
  ended;
  #next = 0;

  /** @param {(id: number) => void} send */
  add(send) {
    return new Promise((resolve, reject) => {
      if (this.ended) {
        reject(this.ended);
        return;
      }
      const id = this.#next++;
      this.#open.set(id, { resolve, reject });
      try {
        send(id);
      } catch (thrown) {
        this.#open.delete(id);
        reject(new DinoscopeError('argument', /** @type {Error} */ (thrown).message, { cause: thrown }));
      }
    });
  }

  /** @param {number} id */
  take(id) {
    const call = this.#open.get(id);
    this.#open.delete(id);
    return call;
  }

  /** @param {DinoscopeError} error */
  end(error) {
    this.ended ??= error;
    for (const { reject } of this.#open.values()) {
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
    worker.onmessage = ({ data: { id, value, error } }) => {
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
   */
  call(method, options = {}, transfer = []) {
    return this.#calls.add((id) => this.#worker.postMessage({ id, method, options }, transfer));
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
   */
  call(method, options = {}) {
    return this.#calls.add((id) => {
      this.#engine.call(method, options).then(
        (value) => this.#calls.take(id)?.resolve(value),
        (thrown) => this.#calls.take(id)?.reject(asError(thrown)),
      );
    });
  }

  /** @param {DinoscopeError} error */
  close(error) {
    this.#calls.end(error);
    // After what is under way; an engine that broke has nothing left to close.
    this.#engine.call('close', {}).catch(() => {});
  }
}
