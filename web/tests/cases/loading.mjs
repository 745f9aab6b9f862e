// Downloads from servers that break off, stall and change: the page's own script, without a browser.

import { breaking, stalling } from '../lib/odd.mjs';
import { Refused, Stopped, load, whole } from '../../page/load.js';

const SIZE = 300_000;
const bytes = (seed) => Buffer.from(Uint8Array.from({ length: SIZE }, (_, i) => (i * 31 + (i >> 8) * seed) & 255));
/** What a person waits for in seconds, in milliseconds. */
const QUICK = { silent: 60, hung: 300, waits: [10, 20, 40], tick: 10 };

export async function run({ root, check, serve }) {
  const [body, other] = [bytes(7), bytes(11)];
  const odd = {
    broken: breaking(body, [100_000, 100_000, 250_000], { tag: '"one"' }),
    ranges: breaking(body, [100_000], { ranges: false, tag: '"one"' }),
    changed: breaking(body, [100_000], { then: other, tag: '"one"' }),
    shorter: breaking(body, [100_000], { then: other.subarray(0, 50_000) }),
    stalled: stalling(body, [100_000]),
    silent: stalling(body, [0, 0, 0, 0, 0, 0, 0, 0]),
    gone: breaking(body, [100_000, 0, 0, 0, 0, 0, 0, 0]),
    stopped: breaking(body, [100_000, 0, 0, 0, 0, 0]),
    busy: (_, response) => response.writeHead(503, 'Service Unavailable').end(),
    page: (_, response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html><p>nothing here'),
  };
  const { url } = await serve(root, { strict: false, odd });
  const said = [];
  const fetched = async (name, hear) => {
    said.length = 0;
    const listen = (done, total, word) => {
      said.push({ done, total, word });
      return hear?.(done, total, word);
    };
    return whole(new URL(name, url), listen, { patience: QUICK }).then(
      ({ bytes }) => ({ bytes: Buffer.from(bytes) }),
      (error) => ({ error }),
    );
  };
  const words = () => [...new Set(said.map(({ word }) => word).filter(Boolean))];

  const broken = await fetched('broken');
  check('what breaks off thrice is whole in the end', body.equals(broken.bytes ?? ''), broken.error);
  check('it goes on where it was', String(odd.broken.asked) === ',bytes=100000-,bytes=100000-,bytes=250000-', odd.broken.asked);
  check('that is said', words().some((word) => /broke off, again in 1 s/.test(word)), words());
  check('the count never goes back', said.every(({ done }, i) => i === 0 || done >= said[i - 1].done), said.length);

  const ranges = await fetched('ranges');
  check('a server that begins at the beginning again: whole, too', body.equals(ranges.bytes ?? ''), ranges.error);
  const changed = await fetched('changed');
  check('a file that changed meanwhile is begun anew', other.equals(changed.bytes ?? ''), changed.error);
  const shorter = await fetched('shorter');
  check('also one without a tag', shorter.bytes?.length === 50_000, shorter.error);

  const stalled = await fetched('stalled');
  check('what stalls goes on at another connection', body.equals(stalled.bytes ?? ''), stalled.error);
  check('the silence is said before', words().some((word) => /no answer for \d+ s$/.test(word)), words());
  const silent = await fetched('silent');
  check('a server that never answers is given up', /no answer.*4 attempts/.test(silent.error?.message), silent.error);

  const gone = await fetched('gone');
  check('attempts have an end', /broke off; 4 attempts were made/.test(gone.error?.message), gone.error);
  const stopped = await fetched('stopped', (done, _, word) => !(done === 100_000 && /again/.test(word)));
  check('waiting can be stopped', stopped.error instanceof Stopped && odd.stopped.asked.length === 1, stopped.error);

  const busy = await fetched('busy');
  check('a server that says no is believed', busy.error instanceof Refused && busy.error.status === 503, busy.error);
  const page = await fetched('page');
  check('a web page in place of a file is named', /is a web page, not a file/.test(page.error?.message), page.error);
  const nobody = await whole('http://127.0.0.1:9/nothing').then(() => null, (error) => error.message);
  check('nobody there: at once', /does not answer/.test(nobody), nobody);
  // A body that is read while it comes, as the compiler reads the program, goes on as well.
  odd.stream = breaking(body, [200_000]);
  const streamed = Buffer.from(await (await load(new URL('stream', url), undefined, { patience: QUICK })).arrayBuffer());
  check('a body goes on by itself', body.equals(streamed), streamed.length);
}
