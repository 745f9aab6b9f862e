// Whether this browser offers a GPU, and if not, why.

/** @returns {Promise<{reason: string | null}>} */
export async function findGpu() {
  if (!window.isSecureContext) {
    return { reason: 'Browsers allow WebGPU only on pages opened through https or on localhost.' };
  }
  if (!navigator.gpu) {
    return { reason: 'This browser has no WebGPU, or it is switched off.' };
  }
  const adapter = await navigator.gpu.requestAdapter().catch(() => null);
  return { reason: adapter ? null : 'This browser knows WebGPU, but offers no graphics adapter for it.' };
}
