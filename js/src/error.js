// The one kind of error that this package throws.

/**
 * @typedef {import('./index.js').ErrorCode} ErrorCode
 */

/** Something that could not be done. `code` tells errors apart, `message` is for a person. */
export class DinoscopeError extends Error {
  /**
   * @param {ErrorCode} code
   * @param {string} message
   * @param {{ cause?: unknown }} [options]
   */
  constructor(code, message, options) {
    super(message, options);
    this.name = 'DinoscopeError';
    /** @readonly */
    this.code = code;
  }
}

/**
 * Anything that was thrown, as one of ours. What the program throws has a code already; what the browser throws when
 * the program breaks has none.
 * @param {unknown} thrown
 * @returns {DinoscopeError}
 */
export function asError(thrown) {
  if (thrown instanceof DinoscopeError) {
    return thrown;
  }
  const { code, message } = /** @type {{ code?: unknown, message?: unknown }} */ (Object(thrown));
  const text = String(message ?? thrown);
  if (typeof code === 'string') {
    return new DinoscopeError(/** @type {ErrorCode} */ (code), text);
  }
  return new DinoscopeError('crash', crashed(text), { cause: thrown });
}

/**
 * @param {string} reason
 * @returns {string}
 */
export function crashed(reason) {
  return `Dinoscope stopped: ${reason}. Out of memory, most often: use a smaller resolution or a smaller model. `
    + 'Load the model again to go on.';
}

/** Whether somebody asked for a stop. @param {unknown} thrown */
export function isAbort(thrown) {
  return Object(thrown).name === 'AbortError';
}
