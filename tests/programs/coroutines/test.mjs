// The C program that suspends and resumes itself prints what it printed with Binaryen's pass, in that order.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

import { load } from '../harness/load.mjs';
import { LOWERINGS } from '../harness/lowerings.mjs';

const expected = readFileSync(new URL('expected.txt', import.meta.url), 'utf8');

for (const lowering of LOWERINGS) {
  test(`${lowering.name}, coroutines`, () => {
    const lines = [];
    const print = (who, what) => void lines.push(`${who} ${what >>> 0}`);
    const { exports } = new WebAssembly.Instance(load('coroutines', lowering), { env: { print } });
    // In two orders: round robin, and each fifth.
    for (const skip of [0, 4]) lines.push(`run ${skip}: ${exports.run(skip, lowering.stable) >>> 0}`);
    assert.equal(`${lines.join('\n')}\n`, expected);
  });
}
