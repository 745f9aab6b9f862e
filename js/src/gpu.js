// Whether this browser's GPU is to compute.

/**
 * @typedef {{ use: boolean, name?: string, reason?: string }} Found
 */

/**
 * Asks the browser for a GPU. `auto` passes over a software one, which is slower than the CPU.
 * @param {'auto' | 'webgpu' | 'cpu'} wanted
 * @returns {Promise<Found>}
 */
export async function findGpu(wanted) {
  if (wanted === 'cpu') {
    return { use: false };
  }
  if (globalThis.isSecureContext === false) {
    return { use: false, reason: 'browsers allow WebGPU only on pages opened through https or on localhost' };
  }
  const { gpu } = /** @type {any} */ (navigator);
  if (!gpu) {
    return { use: false, reason: 'this browser has no WebGPU, or it is switched off' };
  }
  const adapter = await gpu.requestAdapter({ powerPreference: 'high-performance' }).catch(() => null);
  if (!adapter) {
    return { use: false, reason: 'this browser knows WebGPU, but offers no graphics adapter for it' };
  }
  const { description, vendor, architecture, isFallbackAdapter } = adapter.info ?? {};
  const name = description || [vendor, architecture].filter(Boolean).join(' ') || 'WebGPU';
  const software = (isFallbackAdapter ?? adapter.isFallbackAdapter) || /swiftshader|llvmpipe/i.test(name + architecture);
  if (software && wanted === 'auto') {
    return { use: false, reason: `the only adapter, ${name}, is software, which is slower than the CPU` };
  }
  return { use: true, name };
}
