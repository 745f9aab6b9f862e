// A safetensors file of 32-bit numbers as one of 16-bit numbers.

/** The nearest 16-bit number, as far as weights go: none is infinite. */
function toHalf(value) {
  const bits = new Uint32Array(new Float32Array([value]).buffer)[0];
  const exponent = ((bits >>> 23) & 255) - 112;
  const sign = (bits >>> 16) & 0x8000;
  return exponent <= 0 ? sign : sign | ((exponent << 10) + ((bits >>> 13) & 1023) + ((bits >>> 12) & 1));
}

/** @param {Buffer} file */
export function half(file) {
  const length = Number(file.readBigUInt64LE(0));
  const header = JSON.parse(file.toString('utf8', 8, 8 + length));
  for (const tensor of Object.values(header)) {
    if (tensor.dtype === 'F32') {
      tensor.dtype = 'F16';
      tensor.data_offsets = tensor.data_offsets.map((offset) => offset / 2);
    }
  }
  const text = Buffer.from(JSON.stringify(header));
  const values = file.subarray(8 + length);
  const out = Buffer.alloc(8 + text.length + values.length / 2);
  out.writeBigUInt64LE(BigInt(text.length), 0);
  text.copy(out, 8);
  for (let i = 0; i < values.length / 4; i += 1) {
    out.writeUInt16LE(toHalf(values.readFloatLE(4 * i)), 8 + text.length + 2 * i);
  }
  return out;
}
