// Types and values of exported calls, as section `windlass.exports` declares them.

import { WindlassError } from './error.mjs';

const NAMES = { i: 'i32', I: 'u32', l: 'i64', L: 'u64', f: 'f32', d: 'f64', s: 'string', b: 'bytes' };

const integer = (low, high) => (value) => Number.isInteger(value) && value >= low && value <= high;

// A 64-bit integer may be given as a number while that is exact; it always comes back as a BigInt.
const long = (low, high) => (value) =>
  (typeof value === 'bigint' || Number.isSafeInteger(value)) && BigInt(value) >= low && BigInt(value) <= high;

const isNumber = (value) => typeof value === 'number';

const FITS = {
  i: integer(-(2 ** 31), 2 ** 31 - 1),
  I: integer(0, 2 ** 32 - 1),
  l: long(-(2n ** 63n), 2n ** 63n - 1n),
  L: long(0n, 2n ** 64n - 1n),
  f: isNumber,
  d: isNumber,
  s: (value) => typeof value === 'string',
  b: (value) => value instanceof Uint8Array,
};

export const isMemory = (type) => type === 's' || type === 'b';

/** A number as the engine takes it. */
export const toWasm = (type, value) => (type === 'l' || type === 'L' ? BigInt(value) : value);

/** A number as the caller wants it. */
export function fromWasm(type, value) {
  if (type === 'I') return value >>> 0;
  if (type === 'L') return BigInt.asUintN(64, value);
  return value;
}

/** What an exported call takes and returns. */
export class Signature {
  constructor(name, params, result) {
    this.name = name;
    this.params = params;
    this.result = result;
  }

  toString() {
    const result = this.result === 'v' ? '' : ` -> ${NAMES[this.result]}`;
    return `${this.name}(${[...this.params].map((type) => NAMES[type]).join(', ')})${result}`;
  }

  /** Throws unless the arguments fit. */
  check(args) {
    if (args.length === this.params.length && args.every((arg, index) => FITS[this.params[index]](arg))) return;
    throw new WindlassError('Signature', { declared: String(this), given: shown(this.name, args) });
  }
}

/** A call as it was written. */
export function shown(name, args) {
  const text = (arg) => {
    if (typeof arg === 'string') return JSON.stringify(arg);
    if (typeof arg === 'bigint') return `${arg}n`;
    return arg instanceof Uint8Array ? `Uint8Array(${arg.length})` : String(arg);
  };
  return `${name}(${args.map(text).join(', ')})`;
}

/** Reads the records of `windlass.exports` into a map from name to signature. */
export function readSignatures(buffer) {
  const signatures = new Map();
  const bytes = new Uint8Array(buffer);
  const fields = new TextDecoder().decode(bytes).split('\0');
  if (bytes.length > 0 && (bytes.at(-1) !== 0 || fields.length % 2 !== 1)) malformed(fields[0]);
  for (let at = 0; at + 1 < fields.length; at += 2) {
    const [name, types] = [fields[at], /^([iIlLfdsb]*)>([iIlLfdsbv])$/.exec(fields[at + 1])];
    if (name === '' || types === null) malformed(name);
    signatures.set(name, new Signature(name, types[1], types[2]));
  }
  return signatures;
}

function malformed(name) {
  throw new WindlassError('Load', {
    report: `the section \`windlass.exports\` is malformed at the export \`${name}\`: build guest and host from the same release`,
  });
}
