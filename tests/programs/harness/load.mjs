// Finds the modules of a program and runs one test for each way in which it was lowered.

import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';

import { LOWERINGS, modulePath } from './lowerings.mjs';
import { Direct, Suspension } from './suspension.mjs';

// V8's optimising compiler gives QuickJS's interpreter, lowered by Binaryen, frames of 40 KB: the engine's stack is full at a depth of
// 20, at a time that depends on the machine. wasmtime runs optimised code.
setFlagsFromString('--liftoff-only');

const modules = new Map();

/** The compiled module; an assertion says why if there is none. */
export function load(program, lowering) {
  const path = modulePath(program, lowering);
  if (!existsSync(path)) {
    const why = existsSync(`${path}.error`) ? readFileSync(`${path}.error`, 'utf8') : 'run `node tests/programs/run.mjs`';
    assert.fail(`there is no ${path}: ${why}`);
  }
  let module = modules.get(path);
  if (module === undefined) {
    module = new WebAssembly.Module(readFileSync(path));
    modules.set(path, module);
  }
  return module;
}

/** How often imports suspend: always, and by chance with two seeds. */
const CHANCES = [
  { chance: 1, seed: 1 },
  { chance: 0.3, seed: 2 },
  { chance: 0.3, seed: 3 },
];

/**
 * `run(module, suspension)` gives what is to be compared; what it gives without a lowering is what it has to give with each, however
 * often it suspends. `which` chooses among the lowerings.
 */
export function sameAsBase(program, title, run, options = {}) {
  let base;
  const expected = () => (base ??= { value: run(load(program), new Direct()) }).value;
  for (const lowering of LOWERINGS.filter(options.which ?? (() => true))) {
    for (const chances of options.chances ?? CHANCES) {
      test(`${lowering.name}, ${title}, p = ${chances.chance}, seed ${chances.seed}`, () => {
        const suspension = new Suspension({ ...options, ...chances, stable: lowering.stable });
        const value = run(load(program, lowering), suspension);
        assert.deepEqual(value, expected());
        assert.ok(suspension.suspensions > 0, 'nothing suspended');
      });
    }
  }
}
