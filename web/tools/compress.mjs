// Compresses files with brotli, or with gzip where a copy's name ends with .gz:
// node compress.mjs QUALITY FILE COPY [FILE COPY …]

import fs from 'node:fs/promises';
import { promisify } from 'node:util';
import zlib from 'node:zlib';

const { BROTLI_PARAM_LGWIN, BROTLI_PARAM_QUALITY, BROTLI_PARAM_SIZE_HINT } = zlib.constants;
const brotli = promisify(zlib.brotliCompress);
const gzip = promisify(zlib.gzip);

const [quality, ...names] = process.argv.slice(2);
const pairs = names.flatMap((file, at) => (at % 2 ? [] : [[file, names[at + 1]]]));

await Promise.all(pairs.map(async ([file, copy]) => {
  const content = await fs.readFile(file);
  const params = {
    [BROTLI_PARAM_QUALITY]: Number(quality),
    // The largest window that browsers accept.
    [BROTLI_PARAM_LGWIN]: 24,
    [BROTLI_PARAM_SIZE_HINT]: content.length,
  };
  // Renamed when whole: a copy that lies there is a good one.
  const packed = copy.endsWith('.gz') ? gzip(content, { level: 9 }) : brotli(content, { params });
  await fs.writeFile(`${copy}.part`, await packed);
  await fs.rename(`${copy}.part`, copy);
}));
