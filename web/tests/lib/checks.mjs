// Counts what was found good and what was not.

/** Whether anything failed, over all cases. */
export class Checks {
  passed = 0;
  failed = 0;

  /**
   * For one case: a function that notes whether something is as it should be.
   * @param {string} name of the case
   * @returns {(what: string, good: boolean, found?: unknown) => boolean} gives `good` back
   */
  of(name) {
    return (what, good, found) => {
      const fine = good === true;
      fine ? (this.passed += 1) : (this.failed += 1);
      console.log(`${fine ? 'ok    ' : 'FAILED'} ${name}: ${what}${fine ? '' : `: ${show(found)}`}`);
      return fine;
    };
  }

  /** The line that `cargo xtask test` reads. */
  summary() {
    return `${this.passed} passed, ${this.failed} failed`;
  }
}

function show(found) {
  if (found instanceof Error) {
    return found.stack;
  }
  return typeof found === 'string' ? found : JSON.stringify(found) ?? String(found);
}
