// Exceptions of C++ are thrown, caught and thrown again around sleeps: what is returned and noted is what it is without them.
//
// Binaryen's pass takes no exceptions, so there is no second opinion but that of the module as it was.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { sameAsBase } from '../harness/load.mjs';

/** Which import sleeps, and how often: a wrong order shows. */
function calls(module, suspension, name) {
  const notes = [];
  let exports;
  const env = { sleep: suspension.import('sleep', (value) => (notes.push(value), value)), note: (value) => void notes.push(value) };
  const wasi = { proc_exit: (status) => assert.fail(`it ended with ${status}`) };
  ({ exports } = new WebAssembly.Instance(module, { env, wasi_snapshot_preview1: wasi }));
  exports._initialize();
  suspension.attach(exports, exports.memory, exports);
  const results = Array.from({ length: 12 }, (_, n) => suspension.call(name, n));
  return { results, notes };
}

test('the engine has exceptions as values', () => {
  // (module (func (local exnref)))
  const module = Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0, 1, 4, 1, 96, 0, 0, 3, 2, 1, 0, 10, 6, 1, 4, 1, 1, 0x69, 11);
  assert.ok(WebAssembly.validate(module), `Node ${process.version} is too old: 25 is the first that has them`);
});

for (const name of ['bodies', 'handlers', 'destructors', 'rethrows']) {
  sameAsBase('exceptions', name, (module, suspension) => calls(module, suspension, name), { which: ({ own }) => own });
}
