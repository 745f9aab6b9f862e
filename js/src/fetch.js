// Bytes from wherever they are: an address, a file that was chosen, memory.

import { DinoscopeError, isAbort } from './error.js';

/** @typedef {{ loaded: number, total: number | undefined }} Progress */
/** @typedef {{ name: string, bytes: Uint8Array, owned: boolean }} Content */

/**
 * The content of a file. `owned` says that nobody else holds the bytes.
 * @param {string | URL | Blob | ArrayBuffer | ArrayBufferView} source
 * @param {{ what: string, code: 'weights' | 'image', signal?: AbortSignal, onProgress?: (progress: Progress) => void }} options
 * @returns {Promise<Content>}
 */
export async function content(source, { what, code, signal, onProgress }) {
  if (typeof source === 'string' || source instanceof URL) {
    return download(String(source), what, signal, onProgress);
  }
  if (source instanceof Blob) {
    const name = 'name' in source ? String(source.name) : what;
    const bytes = await source.arrayBuffer().catch((cause) => {
      throw new DinoscopeError(code, `${name} can't be read: ${cause.message}`, { cause });
    });
    onProgress?.({ loaded: bytes.byteLength, total: bytes.byteLength });
    return { name, bytes: new Uint8Array(bytes), owned: true };
  }
  if (source instanceof ArrayBuffer) {
    return { name: what, bytes: new Uint8Array(source), owned: false };
  }
  if (ArrayBuffer.isView(source)) {
    const bytes = new Uint8Array(source.buffer, source.byteOffset, source.byteLength);
    return { name: what, bytes, owned: false };
  }
  throw new DinoscopeError('argument', `${what}: expected a URL, a Blob or an ArrayBuffer, not ${kind(source)}`);
}

/**
 * @param {string} address
 * @param {string} what
 * @param {AbortSignal} [signal]
 * @param {(progress: Progress) => void} [onProgress]
 * @returns {Promise<Content>}
 */
async function download(address, what, signal, onProgress) {
  const shown = address.startsWith('data:') ? 'the data: URL' : address;
  const name = address.startsWith('data:') ? what : lastPart(address, what);
  try {
    const response = await fetch(address, { signal });
    if (!response.ok) {
      throw new DinoscopeError('network', `can't fetch ${shown}: ${response.status} ${response.statusText}`.trimEnd());
    }
    if (/^text\/html\b/.test(response.headers.get('content-type') ?? '') && !address.startsWith('data:')) {
      const hint = 'perhaps there is no file of this name';
      throw new DinoscopeError('network', `can't use ${shown}: the answer is a web page, not a file; ${hint}`);
    }
    return { name, bytes: await body(response, onProgress), owned: true };
  } catch (cause) {
    if (cause instanceof DinoscopeError || isAbort(cause) || signal?.aborted) {
      throw cause;
    }
    const reason = /** @type {Error} */ (cause).message;
    const hint = 'The address may be wrong, the network down, or the server may not allow other sites (CORS).';
    throw new DinoscopeError('network', `can't fetch ${shown}: ${reason}. ${hint}`, { cause });
  }
}

/**
 * Reads a response piece by piece, into one buffer where its length is known.
 * @param {Response} response
 * @param {(progress: Progress) => void} [onProgress]
 */
async function body(response, onProgress) {
  const stated = response.headers.has('content-encoding') ? 0 : Number(response.headers.get('content-length'));
  const total = stated > 0 ? stated : undefined;
  if (!response.body || !onProgress) {
    const bytes = new Uint8Array(await response.arrayBuffer());
    onProgress?.({ loaded: bytes.length, total: bytes.length });
    return bytes;
  }
  let bytes = new Uint8Array(total ?? 1 << 20);
  let loaded = 0;
  const reader = response.body.getReader();
  for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
    const end = loaded + piece.value.length;
    if (end > bytes.length) {
      const larger = new Uint8Array(Math.max(end, 2 * bytes.length));
      larger.set(bytes);
      bytes = larger;
    }
    bytes.set(piece.value, loaded);
    loaded = end;
    onProgress({ loaded, total });
  }
  return loaded === bytes.length ? bytes : bytes.slice(0, loaded);
}

/**
 * The same response, whose body counts while it is read. `total` is what is known of its length.
 * @param {Response} response
 * @param {((progress: Progress) => void) | undefined} hear
 * @param {number} total 0 where only the server knows
 */
export function counted(response, hear, total) {
  if (!response.body || !hear) {
    return response;
  }
  const packed = response.headers.has('content-encoding');
  const all = total || (packed ? 0 : Number(response.headers.get('content-length'))) || undefined;
  let loaded = 0;
  const counting = new TransformStream({
    transform(piece, controller) {
      loaded += piece.byteLength;
      hear({ loaded, total: all });
      controller.enqueue(piece);
    },
  });
  const type = response.headers.get('content-type') ?? 'application/octet-stream';
  return new Response(response.body.pipeThrough(counting), { headers: { 'content-type': type } });
}

/**
 * @param {string} address
 * @param {string} otherwise
 */
function lastPart(address, otherwise) {
  const path = address.replace(/[?#].*$/, '').split('/').at(-1);
  return address.startsWith('blob:') || !path ? otherwise : path;
}

/** What a value is, for messages. @param {unknown} value */
export function kind(value) {
  return value === null || value === undefined ? String(value) : value.constructor?.name ?? typeof value;
}
