// Files as servers send them that are out of order, and as those do that know versions.

/** Where a request wants a file to begin. */
const from = (request) => Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);

/**
 * A file whose connection ends too early, once at each place of `at`; the next request goes on from there.
 * @param {Buffer} body
 * @param {number[]} at
 * @param {object} [options]
 * @param {boolean} [options.ranges] whether the server can begin in the middle
 * @param {string} [options.tag] an ETag
 * @param {Buffer} [options.then] another content, once it has broken off
 * @param {(response: import('node:http').ServerResponse) => void} [options.end] what happens there in place of breaking off
 */
export function breaking(body, at, { ranges = true, tag, then, end = (response) => response.destroy() } = {}) {
  const left = [...at];
  const asked = [];
  const answer = (request, response) => {
    const start = ranges ? from(request) : 0;
    asked.push(request.headers.range ?? '');
    const now = asked.length > 1 && then ? then : body;
    const partial = ranges && 'range' in request.headers;
    if (start > now.length) {
      response.writeHead(416).end();
      return;
    }
    response.writeHead(partial ? 206 : 200, {
      'content-type': 'application/octet-stream',
      'content-length': now.length - start,
      ...(partial && { 'content-range': `bytes ${start}-${now.length - 1}/${now.length}` }),
      ...(tag && { etag: now === body ? tag : '"another"' }),
    });
    const stop = left.length > 0 ? left.shift() : undefined;
    if (stop === undefined) {
      response.end(now.subarray(start));
    } else {
      response.write(now.subarray(start, Math.max(start, stop)), () => setTimeout(() => end(response), 20));
    }
  };
  return Object.assign(answer, { asked });
}

/** The same, but the connection stays, and nothing comes any more. */
export function stalling(body, at, options = {}) {
  return breaking(body, at, { ...options, end: () => {} });
}

/**
 * A file that a server knows the version of. `file` can be changed; `asked` has one line for each request.
 * @param {{ body: Buffer, tag?: string, status?: number, length?: boolean }} file
 */
export function versioned(file) {
  const asked = [];
  const answer = (request, response) => {
    const known = file.tag && request.headers['if-none-match'] === file.tag;
    const status = file.status ?? (known ? 304 : 200);
    asked.push(`${request.method} ${status}`);
    response.writeHead(status, {
      'cache-control': 'no-cache',
      ...(file.tag && { etag: file.tag }),
      ...(status === 200 && file.length !== false && { 'content-length': file.body.length }),
      ...(file.length === false && { connection: 'close' }),
    });
    response.end(status === 200 && request.method !== 'HEAD' ? file.body : undefined);
  };
  return Object.assign(answer, { asked, file });
}
