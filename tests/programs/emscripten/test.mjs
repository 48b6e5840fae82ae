// Programs that Emscripten links with -sASYNCIFY. For ours, emcc finds windlass-lower under the name of `wasm-opt`.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { windlassLower, wasmOpt } from '../harness/lower.mjs';
import { DIRECTORY, LOWERINGS } from '../harness/lowerings.mjs';
import { emscriptenSurroundings, needs, run } from '../harness/tools.mjs';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

/**
 * The level decides which passes emcc asks for, and how often it calls `wasm-opt`. From `-O3` and `-Os` on, emcc 3.1.6 has Binaryen's
 * `wasm-metadce` read what we wrote with `--mvp-features`, without the second memory: see `docs/lowering.md`, Limits.
 */
const BUILDS = [
  ['sleep', '-O0'],
  ['sleep', '-O2'],
  ['sleep', '-O3'],
  ['sleep', '-O2', '-g'],
  ['fibers', '-O1'],
  ['fibers', '-Os'],
  ['jumps', '-O2'],
];

/** A folder of Binaryen's programs, in which `wasm-opt` is ours. */
function disguise() {
  const root = `${DIRECTORY}/emscripten/root`;
  rmSync(root, { recursive: true, force: true });
  mkdirSync(`${root}/bin`, { recursive: true });
  symlinkSync(resolve(windlassLower()), `${root}/bin/wasm-opt`);
  const real = dirname(wasmOpt());
  for (const name of readdirSync(real)) {
    if (/^wasm-(emscripten|metadce|ctor|split|as|dis|merge)|^wasm2js/.test(name)) symlinkSync(`${real}/${name}`, `${root}/bin/${name}`);
  }
  return root;
}

/** emcc's surroundings: Debian's finds Binaryen by PATH, others by a variable. */
function surroundings(own) {
  const env = emscriptenSurroundings();
  if (!own) return env;
  const root = disguise();
  return { ...env, PATH: `${root}/bin:${env.PATH}`, EM_BINARYEN_ROOT: root, WINDLASS_WASM_OPT: wasmOpt() };
}

/** Compiles a program; gives what it prints. */
function build(way, own, [program, ...flags]) {
  const folder = `${DIRECTORY}/emscripten/${way}`;
  mkdirSync(folder, { recursive: true });
  const output = `${folder}/${program}${flags.join('')}.js`;
  const emcc = needs('emcc', 'apt-get install emscripten');
  run(emcc, [here(`${program}.c`), ...flags, '-sASYNCIFY', '-o', output], { env: surroundings(own), cwd: folder });
  // This Emscripten takes a Node that has `fetch` for a browser.
  const start = 'delete globalThis.fetch; require(process.argv[1])';
  return spawnSync(process.execPath, ['-e', start, output, 'one'], { encoding: 'utf8', timeout: 60_000 });
}

const ways = [
  { way: 'binaryen', own: false },
  { way: 'own', own: true },
].filter(({ own }) => LOWERINGS.some((lowering) => lowering.own === own));

for (const { way, own } of ways) {
  for (const [program, ...flags] of BUILDS) {
    if (own && flags.some((flag) => flag === '-O3' || flag === '-Os')) continue;
    test(`${way}, ${program}.c, ${flags.join(' ')}`, () => {
      const { status, stdout, stderr } = build(way, own, [program, ...flags]);
      const expected = readFileSync(here(`${program}.expected.txt`), 'utf8');
      // A frame of the host between two of the guest may be refused, but must not be forgotten.
      const refused = status !== 0 && /RuntimeError: unreachable/.test(stderr) && expected.startsWith(stdout);
      if (own && program === 'jumps' && refused) return;
      assert.equal(stdout, expected, stderr);
      assert.equal(status, 0);
    });
  }
}
