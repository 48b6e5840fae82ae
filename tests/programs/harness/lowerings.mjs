// The ways in which each program is lowered, and where the results are. This is the one table: `prepare.mjs` carries it out and
// writes it down for the tests in Rust.

import { fileURLToPath } from 'node:url';

/** Lowered modules, one folder for each way; `base` has them as their compilers wrote them. */
export const DIRECTORY = process.env.WINDLASS_PROGRAMS ?? fileURLToPath(new URL('../../../target/programs', import.meta.url));

const own = (name, args, rest) => ({ name, args, own: true, stable: false, ...rest });

const ALL = [
  own('own-speed', ['--optimize', 'speed']),
  own('own-balanced', ['--optimize', 'balanced']),
  own('own-size', ['--optimize', 'size']),
  // The promise that nobody touches a buffer while frames are in it.
  own('own-balanced-stable', ['--optimize', 'balanced', '--stable-buffer'], { stable: true }),
  // The second opinion, and the proof that the programs themselves are in order.
  { name: 'binaryen', args: ['-O2'], own: false, stable: false },
];

/** `WINDLASS_LOWERINGS=binaryen,own-speed` runs only those. */
const wanted = process.env.WINDLASS_LOWERINGS?.split(',');
const unknown = wanted?.filter((name) => !ALL.some((lowering) => lowering.name === name)) ?? [];
if (unknown.length > 0) {
  throw new Error(`WINDLASS_LOWERINGS names ${unknown.join(', ')}; there are ${ALL.map(({ name }) => name).join(', ')}`);
}

export const LOWERINGS = wanted === undefined ? ALL : ALL.filter(({ name }) => wanted.includes(name));

/** Where the module of a program is; `lowering` undefined: as it was before. */
export const modulePath = (program, lowering) => `${DIRECTORY}/${lowering?.name ?? 'base'}/${program}.wasm`;
