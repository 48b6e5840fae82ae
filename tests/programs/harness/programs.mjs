// The programs: whose tests use them, which of their imports may suspend, and where their modules come from.

import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { fileURLToPath } from 'node:url';

import wabt from 'wabt';

import { DIRECTORY, modulePath } from './lowerings.mjs';
import { emscriptenSurroundings, needs, run } from './tools.mjs';

const here = (path) => fileURLToPath(new URL(`../${path}`, import.meta.url));

/** A module out of an npm package. */
const packed = (path) => (into) => writeFileSync(into, readFileSync(here(`node_modules/${path}`)));

/** The package tests/programs/rust-guest. */
function rust(into) {
  const manifest = here('rust-guest/Cargo.toml');
  const target = `${dirname(DIRECTORY)}/programs-guest`;
  run('cargo', ['build', '--quiet', '--release', '--locked', '--target', 'wasm32-wasip1', '--manifest-path', manifest], {
    // What cargo sets for the test that may be calling is not meant for the guest.
    env: { ...process.env, CARGO_TARGET_DIR: target, RUSTFLAGS: '' },
    help: 'if the target is missing: `rustup target add wasm32-wasip1`',
  });
  writeFileSync(into, readFileSync(`${target}/wasm32-wasip1/release/rust-guest.wasm`));
}

/** A C program without a library. */
const c = (source) => (into) => {
  const flags = ['--target=wasm32', '-O2', '-Wall', '-Wextra', '-Werror', '-nostdlib', '-ffreestanding', '-fno-builtin'];
  flags.push('-Wl,--no-entry', '-Wl,--export-dynamic', '-Wl,-z,stack-size=65536');
  run(needs('clang', 'apt-get install clang lld'), [...flags, here(source), '-o', into], {
    help: 'it links with `wasm-ld`: apt-get install lld',
  });
};

/** A C++ program with exceptions, in the instructions of the legacy proposal. */
const cpp = (source) => (into) => {
  const flags = ['-O2', '-Wall', '-Wextra', '-Werror', '-fwasm-exceptions', '-sSTANDALONE_WASM', '--no-entry'];
  // The host's functions are nobody's symbols.
  flags.push('-sERROR_ON_UNDEFINED_SYMBOLS=0', '-sWARN_ON_UNDEFINED_SYMBOLS=0', '-sEXPORTED_FUNCTIONS=_malloc,_free');
  const emcc = needs('emcc', 'apt-get install emscripten');
  run(emcc, [here(source), ...flags, '-o', into], { env: emscriptenSurroundings() });
};

const assembler = await wabt();

/** Text written by hand. */
const text = (path) => (into) => {
  const parsed = assembler.parseWat(basename(path), readFileSync(path, 'utf8'));
  parsed.validate();
  writeFileSync(into, parsed.toBinary({ write_debug_names: true }).buffer);
};

/** Those of tests/programs/asyncify say in a comment which of their imports may suspend. */
const guests = readdirSync(here('asyncify'))
  .filter((file) => file.endsWith('.wat'))
  .map((file) => {
    const path = here(`asyncify/${file}`);
    const suspending = /^;; suspending: (.*)$/m.exec(readFileSync(path, 'utf8'))?.[1].split(' ') ?? [];
    return { name: `asyncify-${basename(file, '.wat')}`, folder: 'asyncify', suspending, make: text(path) };
  });

export const PROGRAMS = [
  {
    name: 'quickjs',
    folder: 'quickjs',
    suspending: ['a.s', 'a.p', 'a.n', 'a.m'],
    make: packed('@jitl/quickjs-wasmfile-release-sync/dist/emscripten-module.wasm'),
  },
  {
    name: 'sqlite',
    folder: 'sqlite',
    suspending: [
      'wasi_snapshot_preview1.fd_read',
      'wasi_snapshot_preview1.fd_write',
      'wasi_snapshot_preview1.fd_seek',
      'env.emscripten_date_now',
    ],
    make: packed('@sqlite.org/sqlite-wasm/sqlite-wasm/jswasm/sqlite3.wasm'),
  },
  {
    name: 'rust',
    folder: 'rust-guest',
    suspending: [
      'wasi_snapshot_preview1.fd_write',
      'wasi_snapshot_preview1.fd_read',
      'wasi_snapshot_preview1.clock_time_get',
      'host.tick',
    ],
    make: rust,
  },
  // It suspends by itself: the module imports the functions of asyncify.
  { name: 'coroutines', folder: 'coroutines', suspending: [], make: c('coroutines/coroutines.c') },
  { name: 'exceptions', folder: 'exceptions', suspending: ['env.sleep'], make: cpp('exceptions/exceptions.cpp') },
  ...guests,
];

/** Makes modules as their compilers write them. */
export function makeBases(programs) {
  mkdirSync(`${DIRECTORY}/base`, { recursive: true });
  for (const { name, make } of programs) make(modulePath(name));
}
