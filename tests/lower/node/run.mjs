// Runs each case below a directory, as it is and lowered, and compares what can be seen from outside.
//
// node run.mjs <directory>: reads <directory>/<index>/{base.wasm, lowered.wasm, case.json}, prints for each case
// index, runs, suspensions, calls of imports, traps, inconclusive runs and the difference, with tabs between.
// The protocol is that of src/host.rs.

import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";

const HEADER = 8;

class Fault extends Error {}
class Exhausted extends Error {}

// Numbers from a seed. Both runs are in here, so they need not be those of src/rng.rs.
class Random {
  constructor(seed) {
    this.state = BigInt.asUintN(64, BigInt(seed));
  }
  next() {
    this.state = BigInt.asUintN(64, this.state + 0x9e3779b97f4a7c15n);
    return mix(this.state);
  }
  chance(probability) {
    return Number(this.next() >> 11n) < probability * 2 ** 53;
  }
}

function mix(number) {
  number = BigInt.asUintN(64, (number ^ (number >> 30n)) * 0xbf58476d1ce4e5b9n);
  number = BigInt.asUintN(64, (number ^ (number >> 27n)) * 0x94d049bb133111ebn);
  return number ^ (number >> 31n);
}

const view = new DataView(new ArrayBuffer(8));
const externs = new Map();

function valueOf(type, bits) {
  switch (type) {
    case "i32":
      return Number(BigInt.asIntN(32, bits));
    case "i64":
      return BigInt.asIntN(64, bits);
    case "f32":
      view.setUint32(0, Number(BigInt.asUintN(32, bits)));
      return Number.isNaN(view.getFloat32(0)) ? 1.5 : view.getFloat32(0);
    case "f64":
      view.setBigUint64(0, BigInt.asUintN(64, bits));
      return Number.isNaN(view.getFloat64(0)) ? 2.5 : view.getFloat64(0);
    case "externref": {
      const number = Number(BigInt.asUintN(32, bits));
      if (number % 5 === 0) return null;
      if (!externs.has(number)) externs.set(number, { number });
      return externs.get(number);
    }
    default:
      return null;
  }
}

function bitsOf(type, value) {
  switch (type) {
    case "f32":
      view.setFloat32(0, value);
      return BigInt(view.getUint32(0));
    case "f64":
      view.setFloat64(0, value);
      return view.getBigUint64(0);
    case "externref":
      return value === null ? 1n << 32n : BigInt(value.number ?? -1);
    case "funcref":
      return value === null ? 0n : 1n;
    default:
      return BigInt.asUintN(64, BigInt(value));
  }
}

function listOf(types, values) {
  const list = types.length === 0 ? [] : types.length === 1 ? [values] : [...values];
  return types.map((type, index) => `${type}:${bitsOf(type, list[index]).toString(16)}`).join(" ");
}

function isEngine(error) {
  return error instanceof RangeError && /call stack/i.test(error.message);
}

class Run {
  constructor(test, policy) {
    Object.assign(this, { test, policy, log: [], outcomes: [], suspensions: 0, pending: null });
    this.decisions = new Random(test.seed);
    this.signatures = new Map(test.exports.map((signature) => [signature.name, signature]));
    const env = {};
    for (const signature of test.imports) {
      const suspends = test.suspending.includes(`env.${signature.name}`);
      env[signature.name] = (...args) => this.import(signature, suspends, args);
    }
    this.env = env;
  }

  start(module) {
    this.instance = new WebAssembly.Instance(module, { env: this.env });
    this.exports = this.instance.exports;
  }

  bytes() {
    return new Uint8Array(this.exports[this.test.memory]?.buffer ?? new ArrayBuffer(0));
  }

  word(at) {
    return new DataView(this.exports[this.test.memory].buffer).getUint32(at, true);
  }

  setWord(at, value) {
    new DataView(this.exports[this.test.memory].buffer).setUint32(at, value, true);
  }

  state() {
    return this.policy ? this.exports.asyncify_get_state() : 0;
  }

  isState(wanted, after) {
    const state = this.state();
    if (state !== wanted) throw new Fault(`the state is ${state} after ${after}`);
  }

  hashOfMemory() {
    const bytes = this.bytes().subarray(0, 1024);
    let hash = 0;
    for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193);
    return hash >>> 0;
  }

  import(signature, suspends, args) {
    const { name, params, results } = signature;
    const shown = params.map((type, index) => `${type}:${bitsOf(type, args[index]).toString(16)}`).join(" ");
    const state = this.state();
    if (this.pending) {
      const pending = this.pending;
      this.pending = null;
      if (state !== 2) throw new Fault(`${name} is called again in state ${state}`);
      if (pending.name !== name || pending.shown !== shown) {
        throw new Fault(`${pending.name} ${pending.shown} is called again as ${name} ${shown}`);
      }
      this.exports.asyncify_stop_rewind();
      this.isState(0, "stop_rewind");
      this.takeBack(pending);
      if (this.policy.again && this.decides(0.1)) return this.suspend(pending);
      this.effect(pending.number);
      return pending.values;
    }
    if (state !== 0) throw new Fault(`${name} is called in state ${state}`);
    if (this.log.length >= this.test.calls_at_most) throw new Exhausted("too many calls of imports");
    const number = this.log.length;
    this.log.push(`${name} ${shown} memory:${this.hashOfMemory().toString(16)}`);
    let hash = mix(BigInt(this.test.seed) ^ BigInt(number));
    params.forEach((type, index) => (hash = mix(hash ^ bitsOf(type, args[index]))));
    const random = new Random(hash);
    const list = results.map((type) => valueOf(type, random.next() % (number % 2 ? 19n : 1n << 64n)));
    const values = results.length === 1 ? list[0] : list;
    if (!suspends) return values;
    if (this.policy && this.decides(1)) return this.suspend({ name, shown, values, number, results });
    this.effect(number);
    return values;
  }

  decides(factor) {
    return this.decisions.chance(this.policy.probability * factor) && this.suspensions < this.test.suspensions_at_most;
  }

  suspend(pending) {
    const { start, borrowed, stable, work } = this.test;
    let { size } = this.test;
    const at = start + (borrowed || stable || work === 0 ? 0 : (this.suspensions % 4) * size);
    if (borrowed) {
      size = Math.min(size, this.bytes().length - at);
      if (size < 1024) return pending.values;
      pending.borrowed = this.bytes().slice(at, at + size);
    }
    pending.at = at;
    pending.end = at + size;
    this.setWord(at, at + HEADER);
    this.setWord(at + 4, at + size);
    this.exports.asyncify_start_unwind(at);
    this.isState(1, "start_unwind");
    this.suspensions += 1;
    this.pending = pending;
    const anything = pending.results.map((type) => valueOf(type, BigInt(this.suspensions) * 77n));
    return pending.results.length === 1 ? anything[0] : anything;
  }

  takeBack(pending) {
    const current = this.word(pending.at);
    if (current !== pending.at + HEADER) throw new Fault(`after stop_rewind, current is ${current}`);
    if (pending.borrowed) {
      this.bytes().set(pending.borrowed, pending.at);
    } else if (!this.test.stable) {
      this.bytes().fill(0xa5, pending.at + HEADER, pending.used);
    }
  }

  effect(number) {
    if (this.test.work <= 8) return;
    const hash = mix(BigInt(this.test.seed) + BigInt(number));
    const at = Number(hash % BigInt(this.test.work - 8));
    new DataView(this.exports[this.test.memory].buffer).setBigUint64(at, hash, true);
  }

  call({ export: name, args }) {
    const values = args.map(([type, bits]) => (bits === "null" ? null : valueOf(type, BigInt(bits))));
    for (;;) {
      const result = this.exports[name](...values);
      const state = this.state();
      if (state === 0 && !this.pending) return listOf(this.signatures.get(name).results, result);
      if (state !== 1 || !this.pending) throw new Fault(`${name} returned in state ${state}`);
      this.exports.asyncify_stop_unwind();
      this.isState(0, "stop_unwind");
      const current = this.word(this.pending.at);
      if (current < this.pending.at + HEADER || current > this.pending.end) {
        throw new Fault(`after unwinding, current is ${current}`);
      }
      this.pending.used = current;
      this.exports.asyncify_start_rewind(this.pending.at);
      this.isState(2, "start_rewind");
    }
  }

  all() {
    for (const call of this.test.calls) {
      if (this.exports.fuel) this.exports.fuel.value = this.test.fuel;
      try {
        this.outcomes.push(this.call(call));
      } catch (error) {
        if (error instanceof Fault || error instanceof Exhausted) throw error;
        if (isEngine(error)) throw new Exhausted(error.message);
        if (!(error instanceof WebAssembly.RuntimeError || error instanceof WebAssembly.Exception)) throw error;
        if (this.policy && (this.pending || this.state() !== 0)) {
          throw new Fault(`${error.message} in state ${this.state()}`);
        }
        this.outcomes.push("trap");
      }
    }
    return this;
  }

  memories() {
    return this.test.memories.map((name) => {
      const bytes = new Uint8Array(this.exports[name].buffer.slice(0));
      if (name === this.test.memory) bytes.fill(0, ...this.test.reserved);
      return Buffer.from(bytes);
    });
  }

  globals() {
    return this.test.globals.map((name) => {
      const { value } = this.exports[name];
      return `${name} ${typeof value === "object" ? (value === null ? "null" : value.number) : value}`;
    });
  }
}

function difference(base, lowered) {
  for (const what of ["log", "outcomes"]) {
    const longer = Math.max(base[what].length, lowered[what].length);
    for (let at = 0; at < longer; at += 1) {
      if (base[what][at] !== lowered[what][at]) return `${what} ${at}: ${base[what][at]} and ${lowered[what][at]}`;
    }
  }
  const [globals, others] = [base.globals(), lowered.globals()];
  const at = globals.findIndex((global, index) => global !== others[index]);
  if (at >= 0) return `global: ${globals[at]} and ${others[at]}`;
  const memories = lowered.memories();
  const memory = base.memories().findIndex((bytes, index) => !bytes.equals(memories[index]));
  return memory >= 0 ? `memory ${base.test.memories[memory]}` : "";
}

function compare(directory) {
  const test = JSON.parse(readFileSync(join(directory, "case.json"), "utf8"));
  const verdict = { runs: 0, suspensions: 0, events: 0, traps: 0, inconclusive: 0, difference: "" };
  let base;
  try {
    base = new Run(test, null);
    base.start(new WebAssembly.Module(readFileSync(join(directory, "base.wasm"))));
    base.all();
  } catch (error) {
    // Says nothing about the lowered module; what the engine does not take is said aloud.
    if (error instanceof WebAssembly.CompileError) process.stderr.write(`${directory}: ${error.message}\n`);
    verdict.inconclusive += 1;
    return verdict;
  }
  verdict.traps = base.outcomes.filter((outcome) => outcome === "trap").length;
  let module;
  try {
    module = new WebAssembly.Module(readFileSync(join(directory, "lowered.wasm")));
  } catch (error) {
    verdict.difference = error.message;
    return verdict;
  }
  for (const policy of [
    { probability: 0, again: false },
    { probability: 0.3, again: true },
    { probability: 1, again: false },
  ]) {
    verdict.runs += 1;
    let found;
    try {
      const lowered = new Run(test, policy);
      lowered.start(module);
      lowered.all();
      verdict.suspensions += lowered.suspensions;
      verdict.events += lowered.log.length;
      found = difference(base, lowered);
    } catch (error) {
      if (error instanceof Exhausted) verdict.inconclusive += 1;
      else found = error.message;
    }
    if (found) {
      verdict.difference = `node, probability ${policy.probability}: ${found}`;
      break;
    }
  }
  return verdict;
}

const root = process.argv[2];
for (const index of readdirSync(root).map(Number).sort((a, b) => a - b)) {
  const v = compare(join(root, String(index)));
  const text = v.difference.replace(/\s+/g, " ");
  process.stdout.write([index, v.runs, v.suspensions, v.events, v.traps, v.inconclusive, text].join("\t") + "\n");
}
