// A safetensors file of 16-bit numbers as one of 32-bit numbers.

/** What the bits of a finite 16-bit number mean. */
function fromHalf(bits) {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >>> 10) & 31;
  const fraction = bits & 1023;
  return sign * (exponent === 0 ? fraction * 2 ** -24 : (1 + fraction / 1024) * 2 ** (exponent - 15));
}

/** @param {Buffer} file */
export function whole(file) {
  const length = Number(file.readBigUInt64LE(0));
  const header = JSON.parse(file.toString('utf8', 8, 8 + length));
  for (const tensor of Object.values(header)) {
    if (tensor.dtype === 'F16') {
      tensor.dtype = 'F32';
      tensor.data_offsets = tensor.data_offsets.map((offset) => offset * 2);
    }
  }
  const text = Buffer.from(JSON.stringify(header));
  const values = file.subarray(8 + length);
  const out = Buffer.alloc(8 + text.length + values.length * 2);
  out.writeBigUInt64LE(BigInt(text.length), 0);
  text.copy(out, 8);
  for (let i = 0; i < values.length / 2; i += 1) {
    out.writeFloatLE(fromHalf(values.readUInt16LE(2 * i)), 8 + text.length + 4 * i);
  }
  return out;
}
