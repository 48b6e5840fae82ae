// Runs each case below a directory, as it is and lowered, and compares what can be seen from outside.
//
// node run.mjs <directory>: reads <directory>/<index>/{base.wasm, lowered.wasm, case.json}, prints for each case
// index, runs, suspensions, calls of imports, traps, exceptions thrown and not caught, runs with larger buffers,
// inconclusive runs, the reason for those, and the difference, with tabs between.
// The protocol is that of src/host.rs. Without a lowered.wasm the original is run twice.

import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";

const HEADER = 8;
const PAGE = 65536;
// As in src/case.rs and src/drive.rs.
const LARGER = 16;
const SLACK = 32;

class Fault extends Error {}
class Exhausted extends Error {}
// A trap amid a suspension: the buffer may have been too small.
class NoRoom extends Error {}

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
    Object.assign(this, { used: [], thrown: 0, failure: null });
    this.decisions = new Random(test.seed);
    this.signatures = new Map(test.exports.map((signature) => [signature.name, signature]));
    const env = {};
    for (const signature of test.imports) {
      const suspends = test.suspending.includes(`env.${signature.name}`);
      env[signature.name] = (...args) => {
        try {
          if (this.failure) throw this.failure;
          return this.import(signature, suspends, args);
        } catch (error) {
          // The guest's `catch_all` catches this, too.
          if (!(error instanceof WebAssembly.Exception)) this.failure ??= error;
          throw error;
        }
      };
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
      return this.give(pending.answer);
    }
    if (state !== 0) throw new Fault(`${name} is called in state ${state}`);
    if (this.log.length >= this.test.calls_at_most) throw new Exhausted("too many calls of imports");
    const number = this.log.length;
    this.log.push(`${name} ${shown} memory:${this.hashOfMemory().toString(16)}`);
    let hash = mix(BigInt(this.test.seed) ^ BigInt(number));
    params.forEach((type, index) => (hash = mix(hash ^ bitsOf(type, args[index]))));
    const random = new Random(hash);
    const some = (types) => types.map((type) => valueOf(type, random.next() % (number % 2 ? 19n : 1n << 64n)));
    const { tags, throws } = this.test;
    const answer = {};
    if (throws > 0 && tags.length > 0 && mix(hash) % BigInt(throws) === 0n) {
      answer.tag = tags[Number(mix(hash ^ 1n) % BigInt(tags.length))];
      answer.fields = some(answer.tag.params);
    } else {
      const list = some(results);
      answer.values = results.length === 1 ? list[0] : list;
    }
    if (!suspends) return this.give(answer);
    if (this.policy && this.decides(1)) return this.suspend({ name, shown, answer, number, results });
    this.effect(number);
    return this.give(answer);
  }

  give({ tag, fields, values }) {
    if (!tag) return values;
    this.thrown += 1;
    throw new WebAssembly.Exception(this.exports[tag.name], fields);
  }

  // Which exception it is.
  shown(exception) {
    const tag = this.test.tags.find(({ name }) => exception.is(this.exports[name]));
    if (!tag) return "exception of another tag";
    const bits = (type, at) => bitsOf(type, exception.getArg(this.exports[tag.name], at)).toString(16);
    return ["exception", tag.name, ...tag.params.map((type, at) => `${type}:${bits(type, at)}`)].join(" ");
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
      if (size < 1024) return this.give(pending.answer);
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
      let result;
      try {
        result = this.exports[name](...values);
      } catch (error) {
        if (this.failure) throw this.failure;
        if (this.pending && error instanceof WebAssembly.RuntimeError) throw new NoRoom(error.message);
        throw error;
      }
      if (this.failure) throw this.failure;
      const state = this.state();
      if (state === 0 && !this.pending) return listOf(this.signatures.get(name).results, result);
      if (state !== 1 || !this.pending) throw new Fault(`${name} returned in state ${state}`);
      try {
        this.exports.asyncify_stop_unwind();
      } catch (error) {
        throw new NoRoom(`stop_unwind: ${error.message}`);
      }
      this.isState(0, "stop_unwind");
      const current = this.word(this.pending.at);
      if (current < this.pending.at + HEADER || current > this.pending.end) {
        throw new Fault(`after unwinding, current is ${current}`);
      }
      this.pending.used = current;
      this.used.push(current - this.pending.at);
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
        if (error instanceof Fault || error instanceof Exhausted || error instanceof NoRoom) throw error;
        if (isEngine(error)) throw new Exhausted(error.message);
        if (!(error instanceof WebAssembly.RuntimeError || error instanceof WebAssembly.Exception)) throw error;
        if (this.policy && (this.pending || this.state() !== 0)) {
          throw new Fault(`${error.message} in state ${this.state()}`);
        }
        this.outcomes.push(error instanceof WebAssembly.Exception ? this.shown(error) : "trap");
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
      let value;
      try {
        ({ value } = this.exports[name]);
      } catch {
        return `${name} cannot be seen`;
      }
      // Which function it is cannot be told from outside.
      const text = typeof value === "function" ? "function" : `${typeof value === "object" ? value?.number : value}`;
      return `${name} ${text}`;
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

// The module with so many more pages in its first memory, and how many there were.
function withPages(bytes, more) {
  let at = 8;
  const number = () => {
    let [value, shift, byte] = [0, 0, 0];
    do {
      byte = bytes[at++];
      value += (byte & 127) * 2 ** shift;
      shift += 7;
    } while (byte & 128);
    return value;
  };
  const encoded = (value) => (value < 128 ? [value] : [(value & 127) | 128, ...encoded(Math.floor(value / 128))]);
  while (at < bytes.length) {
    const section = at;
    const id = bytes[at++];
    const length = number();
    const start = at;
    if (id === 5) {
      const head = [...encoded(number()), bytes[at++]];
      const pages = number();
      const maximum = head.at(-1) & 1 ? encoded(number() + more) : [];
      const rest = bytes.subarray(at, start + length);
      const body = Buffer.from([...head, ...encoded(pages + more), ...maximum, ...rest]);
      const wasm = [bytes.subarray(0, section), [5], encoded(body.length), body, bytes.subarray(start + length)];
      return { pages, bytes: Buffer.concat(wasm.map((part) => Buffer.from(part))) };
    }
    at = start + length;
  }
  throw new Exhausted("the memory is not the module's own");
}

function runOf(test, bytes, policy) {
  const run = new Run(test, policy);
  run.start(new WebAssembly.Module(bytes));
  return run.all();
}

// Both once more, with so much room that it must be enough; then it must have been too little before.
function enlarged(test, base, lowered, policy, small, error, verdict) {
  const { pages } = withPages(base, 0);
  const [start, size] = [pages * PAGE, test.place * LARGER];
  const count = test.borrowed ? 1 : 4;
  const more = Math.ceil((size * count) / PAGE);
  const large = { ...test, start, size, reserved: test.borrowed ? [0, 0] : [start, start + size * count] };
  const original = runOf(large, withPages(base, more).bytes, null);
  let run;
  try {
    run = runOf(large, withPages(lowered, more).bytes, policy);
  } catch (again) {
    if (again instanceof NoRoom) return `${error.message}, and with room for ${size}`;
    throw again;
  }
  verdict.suspensions += run.suspensions;
  verdict.events += run.log.length;
  const found = difference(original, run);
  if (found) return `with larger buffers: ${found}`;
  if (small.log.some((line, index) => line !== run.log[index])) {
    throw new Exhausted(`${error.message}, and otherwise in a larger memory`);
  }
  const needed = run.used[small.used.length];
  const room = small.pending ? small.pending.end - small.pending.at : small.test.size;
  return needed + SLACK <= room ? `${error.message}: ${needed} bytes would fit ${room}` : "";
}

function compare(directory) {
  const test = JSON.parse(readFileSync(join(directory, "case.json"), "utf8"));
  const verdict = {
    ...{ runs: 0, suspensions: 0, events: 0, traps: 0, thrown: 0, uncaught: 0, enlarged: 0 },
    ...{ inconclusive: 0, reason: "", difference: "" },
  };
  const inconclusive = (error) => {
    verdict.inconclusive += 1;
    verdict.reason = error.message;
  };
  const original = readFileSync(join(directory, "base.wasm"));
  const file = join(directory, "lowered.wasm");
  const lowers = existsSync(file);
  const lowered = lowers ? readFileSync(file) : original;
  const base = new Run(test, null);
  try {
    base.start(new WebAssembly.Module(original));
    base.all();
  } catch (error) {
    if (base.exports || error instanceof WebAssembly.CompileError) {
      // Says nothing about the lowered module.
      inconclusive(error);
      return verdict;
    }
    // A segment that does not fit, for example: neither must do anything.
    verdict.runs = 1;
    try {
      new Run(test, null).start(new WebAssembly.Module(lowered));
      verdict.difference = `the original has no instance: ${error.message}`;
    } catch {}
    return verdict;
  }
  verdict.traps = base.outcomes.filter((outcome) => outcome === "trap").length;
  verdict.uncaught = base.outcomes.filter((outcome) => outcome.startsWith("exception")).length;
  // Generated code counts those of its own.
  verdict.thrown = base.thrown + (base.exports.thrown?.value ?? 0);
  const policies = [
    { probability: 0, again: false },
    { probability: 0.3, again: true },
    { probability: 1, again: false },
  ];
  for (const policy of lowers ? policies : [null]) {
    verdict.runs += 1;
    let found;
    const run = new Run(test, policy);
    try {
      run.start(new WebAssembly.Module(lowered));
      run.all();
      verdict.suspensions += run.suspensions;
      verdict.events += run.log.length;
      found = difference(base, run);
    } catch (error) {
      try {
        if (!(error instanceof NoRoom)) throw error;
        verdict.enlarged += 1;
        found = enlarged(test, original, lowered, policy, run, error, verdict);
      } catch (error) {
        if (error instanceof Exhausted) inconclusive(error);
        else found = error.message;
      }
    }
    if (found) {
      verdict.difference = `node, probability ${policy?.probability}: ${found}`;
      break;
    }
  }
  return verdict;
}

const root = process.argv[2];
for (const index of readdirSync(root).map(Number).sort((a, b) => a - b)) {
  const { reason, difference: found, ...numbers } = compare(join(root, String(index)));
  const texts = [reason, found].map((text) => text.replace(/\s+/g, " "));
  process.stdout.write([index, ...Object.values(numbers), ...texts].join("\t") + "\n");
}
