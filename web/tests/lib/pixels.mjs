// What is on a screenshot.

import zlib from 'node:zlib';

const SIGNATURE = '89504e470d0a1a0a';
/** Bytes of a pixel, by PNG's kind of colour: RGB and RGBA, as browsers write them. */
const CHANNELS = { 2: 3, 6: 4 };

/**
 * Reads a PNG of 8 bits a channel.
 * @param {Buffer} png
 * @returns {{width: number, height: number, data: Uint8Array}} RGBA
 */
export function decode(png) {
  if (png.subarray(0, 8).toString('hex') !== SIGNATURE) {
    throw new Error('this is no PNG');
  }
  let header;
  const packed = [];
  for (let at = 8; at < png.length;) {
    const length = png.readUInt32BE(at);
    const kind = png.toString('latin1', at + 4, at + 8);
    const chunk = png.subarray(at + 8, at + 8 + length);
    if (kind === 'IHDR') {
      header = chunk;
    } else if (kind === 'IDAT') {
      packed.push(chunk);
    }
    at += length + 12;
  }
  const [width, height] = [header.readUInt32BE(0), header.readUInt32BE(4)];
  const channels = CHANNELS[header[9]];
  if (header[8] !== 8 || !channels || header[12] !== 0) {
    throw new Error('this PNG is of another kind than browsers write');
  }
  const rows = unfilter(zlib.inflateSync(Buffer.concat(packed)), width * channels, height, channels);
  const data = new Uint8Array(width * height * 4).fill(255);
  for (let pixel = 0; pixel < width * height; pixel += 1) {
    data.set(rows.subarray(pixel * channels, (pixel + 1) * channels), pixel * 4);
  }
  return { width, height, data };
}

/** Undoes the prediction that each row of a PNG names in its first byte. */
function unfilter(raw, stride, height, channels) {
  const rows = new Uint8Array(stride * height);
  for (let y = 0; y < height; y += 1) {
    const kind = raw[y * (stride + 1)];
    for (let x = 0; x < stride; x += 1) {
      const left = x >= channels ? rows[y * stride + x - channels] : 0;
      const up = y > 0 ? rows[(y - 1) * stride + x] : 0;
      const corner = x >= channels && y > 0 ? rows[(y - 1) * stride + x - channels] : 0;
      const guess = [0, left, up, (left + up) >> 1, nearest(left, up, corner)][kind];
      rows[y * stride + x] = raw[y * (stride + 1) + 1 + x] + guess;
    }
  }
  return rows;
}

/** Which of three a pixel is nearest to, where they go on as they did. */
function nearest(left, up, corner) {
  const guess = left + up - corner;
  const [a, b, c] = [Math.abs(guess - left), Math.abs(guess - up), Math.abs(guess - corner)];
  return a <= b && a <= c ? left : b <= c ? up : corner;
}

/**
 * A picture of the page, or of a part of it.
 * @param {import('playwright-core').Page} page
 * @param {{x: number, y: number, width: number, height: number}} [clip]
 */
export async function picture(page, clip) {
  return decode(await page.screenshot({ clip }));
}

/** How many colours there are: one in an empty picture. */
export function colours({ data }) {
  const words = new Uint32Array(data.buffer, data.byteOffset, data.length / 4);
  return new Set(words).size;
}

/** The share of pixels for which `is(red, green, blue)` holds. */
export function share({ data }, is) {
  let count = 0;
  for (let at = 0; at < data.length; at += 4) {
    count += is(data[at], data[at + 1], data[at + 2]) ? 1 : 0;
  }
  return count / (data.length / 4);
}

/** The share of pixels that differ by more than `within` in any channel. */
export function apart(one, other, within = 0) {
  if (one.width !== other.width || one.height !== other.height) {
    return 1;
  }
  let count = 0;
  for (let at = 0; at < one.data.length; at += 4) {
    const differs = (channel) => Math.abs(one.data[at + channel] - other.data[at + channel]) > within;
    count += differs(0) || differs(1) || differs(2) ? 1 : 0;
  }
  return count / (one.data.length / 4);
}

/** Red, green and blue on average, from 0 to 255. */
export function mean({ data }) {
  const sum = [0, 0, 0];
  for (let at = 0; at < data.length; at += 4) {
    sum.forEach((_, channel) => { sum[channel] += data[at + channel]; });
  }
  return sum.map((channel) => channel / (data.length / 4));
}
