// What the package gives; index.d.ts says the same with types.

export { Dinoscope } from './dinoscope.js';
export { DinoscopeError } from './error.js';
