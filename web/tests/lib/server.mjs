// A static host on the loopback address, as good as a host should be and no better.

import fs from 'node:fs/promises';
import http from 'node:http';
import path from 'node:path';
import { policy } from './dist.mjs';

const KINDS = {
  '.css': 'text/css; charset=utf-8',
  '.html': 'text/html; charset=utf-8',
  '.jpg': 'image/jpeg',
  '.js': 'text/javascript; charset=utf-8',
  '.json': 'application/json',
  '.png': 'image/png',
  '.svg': 'image/svg+xml',
  '.wasm': 'application/wasm',
  '.webmanifest': 'application/manifest+json',
};

/**
 * Serves a folder.
 * @param {string} folder
 * @param {object} [options]
 * @param {boolean} [options.strict] sends the page's policy as a header too, to workers as well; by default yes
 * @param {boolean} [options.plain] a host that knows neither compression nor how long a file is good
 * @param {string} [options.under] the path below which the folder lies, such as `/some/where/`
 * @param {Record<string, string | Buffer>} [options.extra] more files, by path below the folder
 * @param {Record<string, (request: http.IncomingMessage, response: http.ServerResponse) => void>} [options.odd] files that
 *   are answered otherwise (odd.mjs), by path below the folder
 * @param {number} [options.port] a given one, to come back to where a server was
 */
export async function serve(folder, options = {}) {
  const { strict = true, plain = false, under = '/', extra = {}, odd = {}, port = 0 } = options;
  const rule = strict ? { 'content-security-policy': await policy(folder) } : {};
  /** @type {{path: string, encoding: string}[]} */
  const requests = [];

  const server = http.createServer(async (request, response) => {
    const { pathname } = new URL(request.url, 'http://page');
    const below = pathname.startsWith(under) ? decodeURIComponent(pathname.slice(under.length)) : null;
    const name = below === '' ? 'index.html' : below;
    if (name !== null && Object.hasOwn(odd, name)) {
      requests.push({ path: name, encoding: '' });
      odd[name](request, response);
      return;
    }
    const inside = name !== null && !path.normalize(name).startsWith('..');
    const brotli = !plain && /\bbr\b/.test(request.headers['accept-encoding'] ?? '');
    const given = name !== null && Object.hasOwn(extra, name) ? { body: extra[name], encoding: '' } : null;
    const { body, encoding } = given ?? await read(inside ? path.join(folder, name) : null, brotli);
    requests.push({ path: name ?? pathname, encoding });
    if (body === null) {
      response.writeHead(404, { 'content-type': 'text/plain' }).end('not found\n');
      return;
    }
    const hashed = /\.[0-9a-f]{8}\.\w+$/.test(name);
    response.writeHead(200, {
      'content-type': KINDS[path.extname(name)] ?? 'application/octet-stream',
      'content-length': Buffer.byteLength(body),
      ...(encoding && { 'content-encoding': encoding, vary: 'Accept-Encoding' }),
      ...(!plain && { 'cache-control': hashed ? 'public, max-age=31536000, immutable' : 'no-cache' }),
      ...rule,
    });
    response.end(request.method === 'HEAD' ? undefined : body);
  });
  await new Promise((listening) => server.listen(port, '127.0.0.1', listening));
  const { port: chosen } = server.address();
  return {
    url: `http://127.0.0.1:${chosen}${under}`,
    port: chosen,
    requests,
    /** Nobody answers any more, not even on connections that are open. */
    async close() {
      const closed = new Promise((done) => server.close(done));
      server.closeAllConnections();
      await closed;
    },
  };
}

/** A file, or its compressed copy; nothing where there is none. */
async function read(file, brotli) {
  const copy = file && brotli ? await fs.readFile(`${file}.br`).catch(() => null) : null;
  const body = copy ?? (file ? await fs.readFile(file).catch(() => null) : null);
  return { body, encoding: copy ? 'br' : '' };
}
