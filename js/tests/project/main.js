// The project's program: hands the package to the test that drives the page.

import * as dinoscope from 'dinoscope';

/** Numbers and errors in a form that leaves the page. */
const plain = (value) => {
  if (value instanceof ImageData) {
    return { width: value.width, height: value.height, data: Array.from(value.data) };
  }
  if (ArrayBuffer.isView(value)) {
    return Array.from(value);
  }
  if (Array.isArray(value)) {
    return value.map(plain);
  }
  return value && typeof value === 'object'
    ? Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, plain(inner)]))
    : value;
};

/** What a promise comes to: its value, or the error with its code. */
const settled = (promise) => promise.then(plain, (error) => ({
  error: { ours: error instanceof dinoscope.DinoscopeError, name: error.name, code: error.code, message: error.message },
}));

window.project = { ...dinoscope, plain, settled };
