// A static server on the loopback address for the page, both packages and the models.

import fs from 'node:fs/promises';
import http from 'node:http';
import path from 'node:path';

const KINDS = { '.html': 'text/html', '.js': 'text/javascript', '.mjs': 'text/javascript', '.json': 'application/json',
  '.wasm': 'application/wasm' };

/**
 * Serves `folders`, each under its name as the first part of the address. There are no headers that isolate the page:
 * without them WebAssembly has one thread, as on most sites.
 * @param {Record<string, string>} folders
 * @returns {Promise<{ address: string, close: () => void }>}
 */
export async function serve(folders) {
  const server = http.createServer(async (request, response) => {
    const [first, ...rest] = path.posix.normalize(decodeURI(new URL(request.url, 'http://page').pathname)).slice(1).split('/');
    try {
      const body = await fs.readFile(path.join(folders[first], ...rest));
      const kind = KINDS[path.extname(request.url)] ?? 'application/octet-stream';
      response.writeHead(200, { 'content-type': kind, 'cache-control': 'no-store' }).end(body);
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
  return { address: `http://127.0.0.1:${server.address().port}`, close: () => server.close() };
}
