// Whether the package's sources give what its declarations promise.

import type { Dinoscope as Declared, DinoscopeError as DeclaredError } from 'dinoscope';
import { Dinoscope } from './package/dinoscope.js';
import { DinoscopeError } from './package/error.js';

type Members<T> = Pick<T, keyof T>;
type Statics = Omit<typeof Declared, 'prototype'>;

declare const made: Dinoscope;
export const instance: Members<Declared> = made;
export const statics: { [name in keyof Statics]: (...given: Parameters<Statics[name]>) => Promise<Members<Declared>> } =
  Dinoscope;
export const error: new (...given: ConstructorParameters<typeof DeclaredError>) => DeclaredError = DinoscopeError;
