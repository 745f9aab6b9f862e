// The program: fetched, compiled while it comes, and where that can't be, why.

import { load } from './load.js';
import { Trouble } from './screens.js';

/** Bytes that are worth another question, where a host sends them as they are. */
const LARGE = 4e6;

/**
 * @param {URL} address
 * @param {import('./load.js').Hear} hear
 * @returns {Promise<WebAssembly.Module>}
 */
export async function program(address, hear) {
  const name = address.pathname.split('/').at(-1);
  const response = await load(address, hear).then((plain) => lighter(plain, address, hear)).catch((error) => {
    const cause = error.status || /web page/.test(error.message) ? 'host' : 'network';
    throw new Trouble(cause, `The program can't be loaded: ${name}, ${error.message}.`);
  });
  try {
    // Browsers compile what comes only where the server calls it by its name.
    const named = /^application\/wasm\b/.test(response.headers.get('content-type') ?? '');
    return await (named && WebAssembly.compileStreaming
      ? WebAssembly.compileStreaming(response)
      : WebAssembly.compile(await response.arrayBuffer()));
  } catch (error) {
    throw refusal(error, name);
  }
}

/**
 * The same file from its packed copy, a fifth as large, where the host packs nothing by itself.
 * @param {Response} plain
 * @param {URL} address
 * @param {import('./load.js').Hear} hear
 */
async function lighter(plain, address, hear) {
  const packs = plain.headers.has('content-encoding') || !(Number(plain.headers.get('content-length')) > LARGE);
  if (packs || !globalThis.DecompressionStream) {
    return plain;
  }
  let done = 0;
  const packed = await load(`${address.href}.gz`, (_, total, word) => hear(done, total, word)).catch(() => undefined);
  if (!packed) {
    return plain;
  }
  plain.body.cancel().catch(() => {});
  const counting = new TransformStream({
    transform(piece, controller) {
      done += piece.byteLength;
      controller.enqueue(piece);
    },
  });
  // Some hosts say that such a file is packed, and browsers unpack it then.
  const body = packed.headers.has('content-encoding') ? packed.body : packed.body.pipeThrough(new DecompressionStream('gzip'));
  return new Response(body.pipeThrough(counting), { headers: { 'content-type': 'application/wasm' } });
}

/** Why a program is not compiled. */
function refusal(error, name) {
  const compiles = error instanceof WebAssembly.CompileError;
  if (compiles && /Content.Security.Policy|unsafe-eval|disallowed by embedder/i.test(error.message)) {
    return new Trouble('policy', 'The page\'s Content-Security-Policy does not allow WebAssembly, which the studio is written in.');
  }
  return compiles
    ? new Trouble('damaged', `The browser does not accept the program ${name}: ${error.message}`)
    : new Trouble('network', `The program can't be loaded: ${name}, ${error.message}.`);
}

/**
 * The JavaScript around the program.
 * @template T
 * @param {Promise<T>} script that is imported
 * @returns {Promise<T>}
 */
export function around(script) {
  return script.catch((error) => {
    throw new Trouble('host', `A script of the page can't be loaded: ${error.message}`);
  });
}
