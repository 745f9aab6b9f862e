// Fetching with news of how far it is.

/**
 * Fetches a file whole; `hear(done, total)` counts bytes, with a total of 0 where the server does not say.
 * @param {URL | string} address
 * @param {(done: number, total: number) => boolean | void} hear gives it up by returning false
 * @param {RequestInit} [options]
 * @returns {Promise<Response>} whose body counts while it is read
 */
export async function load(address, hear, options) {
  const response = await fetch(address, options).catch((error) => {
    const elsewhere = new URL(address, location.href).origin !== location.origin;
    const hint = elsewhere ? 'the server is not there, or does not allow pages from elsewhere (CORS)' : error.message;
    throw new Error(hint);
  });
  if (!response.ok) {
    throw new Error(`the server says ${response.status} ${response.statusText}`.trim());
  }
  // Of what is compressed on the way, the server says how much travels, and the body how much arrives.
  const packed = response.headers.has('content-encoding');
  const total = packed ? 0 : Number(response.headers.get('content-length') ?? 0);
  let done = 0;
  const counting = new TransformStream({
    transform(chunk, controller) {
      done += chunk.byteLength;
      if (hear(done, total) === false) {
        controller.error(new Error('it was stopped'));
        return;
      }
      controller.enqueue(chunk);
    },
  });
  const type = response.headers.get('content-type') ?? 'application/octet-stream';
  const { status, statusText } = response;
  return new Response(response.body.pipeThrough(counting), { status, statusText, headers: { 'content-type': type } });
}
