// The page without a network: everything it consists of is kept after one visit, as one version.
//
// A file with a hash in its name never changes, so what is kept of it is right for ever. index.html is asked for
// again each time, and taken from what is kept when nobody answers. A new version is loaded beside the old one. It
// takes over when no tab shows the old one any more, or when a tab that shows the new one asks for it (update.js); the
// old files are removed once there is no other tab that may need them.

/** Filled in by `cargo xtask web`: a digest of everything. */
const VERSION = '';
/** Filled in by `cargo xtask web`: every file but this one, relative to it. */
const FILES = [];

/** Whatever else this origin keeps is not ours. */
const OURS = `dinoscope ${self.registration.scope} `;
const CACHE = OURS + VERSION;
const PAGE = new URL('./', self.location).href;
const KEPT = new Set(FILES.map((file) => new URL(file, self.location).href));
/** Files of any version of the page. */
const HASHED = /\.[0-9a-f]{8}\.\w+$/;

/** How long a network that does not answer is waited for before the kept page is shown, in milliseconds. */
const PATIENCE = 4000;

/** The caches of this page, of any version. */
async function ours() {
  return (await caches.keys()).filter((name) => name.startsWith(OURS));
}

/** What the cache `name` has of an address. Opened, one that was removed meanwhile would be there again, empty. */
function kept(name, url, options) {
  return caches.match(url, { cacheName: name, ignoreVary: true, ...options });
}

/** Loads one file into `cache`; one that an older version has is taken from there. */
async function keep(cache, url) {
  const page = url === PAGE;
  for (const name of page ? [] : await ours()) {
    const found = await kept(name, url);
    if (found) {
      await cache.put(url, found);
      return;
    }
  }
  // The page has just loaded the others itself: the browser still has them.
  const answer = await lighter(url, await fetch(url, { cache: page ? 'no-cache' : 'force-cache' }));
  if (!answer.ok) {
    throw new Error(`${url}: ${answer.status}`);
  }
  await cache.put(url, answer);
}

/** The program from its packed copy, where the host packs nothing by itself: as the page has loaded it (program.js). */
async function lighter(url, plain) {
  const { headers } = plain;
  const large = url.endsWith('.wasm') && Number(headers.get('content-length')) > 4e6 && !headers.has('content-encoding');
  if (!plain.ok || !large || !self.DecompressionStream) {
    return plain;
  }
  const packed = await fetch(`${url}.gz`, { cache: 'force-cache' }).catch(() => undefined);
  if (!packed?.ok || /^text\/html\b/.test(packed.headers.get('content-type') ?? '')) {
    return plain;
  }
  plain.body.cancel().catch(() => {});
  const body = packed.headers.has('content-encoding') ? packed.body : packed.body.pipeThrough(new DecompressionStream('gzip'));
  return new Response(body, { headers: { 'content-type': 'application/wasm' } });
}

async function install() {
  const cache = await caches.open(CACHE);
  await Promise.all([...KEPT].map((url) => keep(cache, url)));
}

/** Removes what older versions have left, unless a tab beside the one that is there may show one of them. */
async function tidy() {
  const old = (await ours()).filter((name) => name !== CACHE);
  const tabs = await self.clients.matchAll({ type: 'window', includeUncontrolled: true });
  const { installing, waiting } = self.registration;
  // What is loaded beside this version is no older one.
  if (tabs.length <= 1 && !installing && !waiting) {
    await Promise.all(old.map((name) => caches.delete(name)));
  }
}

async function activate() {
  await tidy();
  await self.clients.claim();
}

/** A file of the page, of this version or of one that a tab still shows, from what is kept. */
async function file(request) {
  for (const name of [CACHE, ...(await ours())]) {
    const found = await kept(name, request.url, { ignoreSearch: true });
    if (found) {
      return found;
    }
  }
  return fetch(request);
}

/** The page itself: from the network, else as it is kept; a host that is out of order counts as none. */
async function page(request) {
  const last = () => kept(CACHE, PAGE);
  const asked = fetch(request).then(async (answer) => (answer.status < 500 ? answer : (await last()) ?? answer), last);
  const waited = new Promise((done) => {
    setTimeout(() => done(last()), PATIENCE);
  });
  return (await Promise.race([asked, waited])) ?? (await asked) ?? Response.error();
}

self.addEventListener('install', (event) => event.waitUntil(install()));
self.addEventListener('activate', (event) => event.waitUntil(activate()));
self.addEventListener('message', (event) => {
  if (event.data === 'take over') {
    event.waitUntil(self.skipWaiting());
  } else if (event.data?.script) {
    event.ports[0].postMessage(KEPT.has(event.data.script));
  }
});
self.addEventListener('fetch', (event) => {
  const { request } = event;
  const url = request.url.split(/[?#]/)[0];
  if (request.method !== 'GET') {
    return;
  }
  if (url === PAGE || url === `${PAGE}index.html`) {
    event.respondWith(page(request));
    event.waitUntil(tidy());
  } else if (KEPT.has(url) || (url.startsWith(PAGE) && HASHED.test(url))) {
    event.respondWith(file(request));
  }
});
