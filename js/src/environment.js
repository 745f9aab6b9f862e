// Where the package runs: in browsers, in their pages and workers.

import { DinoscopeError } from './error.js';

/** Throws where there is no browser: servers have neither the GPU nor the workers that the program is made for. */
export function inBrowser() {
  const { window, WorkerGlobalScope, process, Deno } = /** @type {any} */ (globalThis);
  if (window || WorkerGlobalScope || !(process?.versions?.node || Deno)) {
    return;
  }
  const name = Deno ? 'Deno' : process.versions.bun ? 'Bun' : 'Node.js';
  throw new DinoscopeError('environment', `dinoscope runs in browsers only, and this is ${name}: load the model in the page, `
    + 'or compute on the server with the program `dinoscope features`');
}
