// Runs a plan of benches on Node: `node run.mjs PLAN`. The plan is what src/plan.rs writes; a line of JSON goes to standard
// output for each subject of each bench. src/engine.rs does the same on wasmtime.

import { readFileSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';

import { QuickJs } from './quickjs.mjs';

/** A unit is at least so long, if the bench lets its length be chosen. */
const UNIT_MS = 2;

/** Steady: the last rounds were not faster than the ones before by more than this. */
const STEADY = 0.03;

/** Who is not steady after so many times the warming time never will be. */
const PATIENCE = 4;

/** So many rounds are compared. */
const WINDOW = 3;

// A kind of bench is a class: `restart()` comes before each warming round, `unit()` does one unit of work and returns its
// milliseconds, `close()` returns the result as text.

/** QuickJS with a program. */
class Program {
  #quickjs;

  constructor(module, { program }) {
    this.#quickjs = new QuickJs(module, program);
  }

  unit() {
    const start = performance.now();
    const value = this.#quickjs.evaluate();
    const time = performance.now() - start;
    this.result = this.#quickjs.take(value);
    return time;
  }

  restart() {}

  close() {
    return this.result;
  }
}

/** A module with an export that takes a number. */
class Function {
  #run;
  #argument;

  constructor(module, { run, argument }) {
    this.#run = instantiate(module)[run];
    this.#argument = argument;
  }

  unit() {
    const start = performance.now();
    this.result = this.#run(this.#argument);
    return performance.now() - start;
  }

  restart() {}

  close() {
    return String(this.result);
  }
}

/** Tasks of guests/switch that the module itself drives. */
class Inside {
  #exports;

  constructor(module) {
    this.#exports = instantiate(module);
  }

  setup(...numbers) {
    this.#exports.setup(...numbers);
  }

  go(count) {
    this.#exports.go(count);
  }

  finish() {
    return this.#exports.finish();
  }
}

/** Those that suspend in an import: this host unwinds and rewinds them, by Binaryen's ABI. */
class Driven {
  #exports;
  /** Binaryen's data structure of each task. */
  #handles;
  /** Whether `pause` is called again, by a rewinding; and whether the task that was resumed has paused. */
  #resuming = false;
  #paused = false;

  constructor(module) {
    const env = { pause: (handle) => this.#pause(handle) };
    this.#exports = new WebAssembly.Instance(module, { env }).exports;
  }

  setup(tasks, live, depth, stack) {
    const { setup, handle, main, asyncify_stop_unwind } = this.#exports;
    setup(tasks, live, depth, stack);
    this.#handles = Array.from({ length: tasks }, (_, task) => handle(task));
    for (let task = 0; task < tasks; task++) {
      main(task);
      asyncify_stop_unwind();
    }
  }

  go(count) {
    for (let i = 0; i < count; i++) this.#round();
  }

  finish() {
    this.#exports.end();
    this.#round();
    return this.#exports.hash();
  }

  #round() {
    const { main, asyncify_start_rewind, asyncify_stop_unwind } = this.#exports;
    for (let task = 0; task < this.#handles.length; task++) {
      this.#resuming = true;
      this.#paused = false;
      asyncify_start_rewind(this.#handles[task]);
      main(task);
      if (this.#paused) asyncify_stop_unwind();
    }
  }

  #pause(handle) {
    if (this.#resuming) {
      this.#resuming = false;
      this.#exports.asyncify_stop_rewind();
    } else {
      this.#paused = true;
      this.#exports.asyncify_start_unwind(handle);
    }
  }
}

/** Tasks that take turns; a unit is so many rounds as take a while, its time that of one. */
class Switches {
  #tasks;
  #setup;
  #count = 1;

  constructor(module, { kind, setup }) {
    this.#tasks = kind === 'driven' ? new Driven(module) : new Inside(module);
    this.#setup = setup;
    this.#start();
  }

  unit() {
    const start = performance.now();
    this.#tasks.go(this.#count);
    return (performance.now() - start) / this.#count;
  }

  /** Tasks anew: a frame that stays on a native stack would never be of optimised code. */
  restart() {
    for (;;) {
      const time = this.unit() * this.#count;
      if (time >= UNIT_MS) break;
      this.#count = Math.ceil(this.#count * Math.min(8, (1.2 * UNIT_MS) / Math.max(time, 0.01)));
    }
    this.close();
    this.#start();
  }

  close() {
    return String(this.#tasks.finish());
  }

  #start() {
    this.#tasks.setup(...this.#setup);
    this.#tasks.go(1);
  }
}

/** Those, where a unit is the life of one task in a new module, which suspends once. */
class FirstSwitch {
  #bytes;
  #setup;
  #serial = 0;

  constructor(bytes, { setup }) {
    this.#bytes = bytes;
    this.#setup = setup;
  }

  unit() {
    // Of equal bytes V8 makes one module, in which what was called before is compiled.
    const module = new WebAssembly.Module(withSerial(this.#bytes, this.#serial++));
    const exports = instantiate(module);
    const start = performance.now();
    exports.setup(...this.#setup);
    this.result = exports.once();
    return performance.now() - start;
  }

  restart() {}

  close() {
    return String(this.result);
  }
}

const KINDS = { program: Program, function: Function, switches: Switches, driven: Switches };

const modules = new Map();

function start(bench, subject) {
  const bytes = readFileSync(subject.wasm);
  if (bench.kind === 'first') return new FirstSwitch(bytes, bench);
  const module = modules.get(subject.wasm) ?? new WebAssembly.Module(bytes);
  modules.set(subject.wasm, module);
  return new KINDS[bench.kind](module, bench);
}

/** Exports of an instance whose imports do nothing: none is called. */
function instantiate(module) {
  const imports = {};
  for (const { module: from, name, kind } of WebAssembly.Module.imports(module)) {
    if (kind !== 'function') throw new Error(`import ${from}.${name} is no function`);
    (imports[from] ??= {})[name] = () => 0;
  }
  return new WebAssembly.Instance(module, imports).exports;
}

/** The module with a custom section `n` that holds a number below 2^16. */
function withSerial(bytes, serial) {
  return Buffer.concat([bytes, Buffer.from([0, 4, 1, 0x6e, serial & 0xff, serial >> 8])]);
}

async function run(bench) {
  const failed = (subject, error) => report({ bench: bench.bench, subject: subject.subject, error: error.message });
  let running = bench.subjects.flatMap((subject) => {
    try {
      return [{ ...subject, guest: start(bench, subject), times: [] }];
    } catch (error) {
      failed(subject, error);
      return [];
    }
  });
  /** One round: every subject in turn. */
  const round = async (restart) => {
    for (const subject of running) {
      try {
        if (restart) subject.guest.restart();
        subject.times.push(subject.guest.unit());
      } catch (error) {
        failed(subject, error);
        running = running.filter((other) => other !== subject);
      }
      await setImmediate();
    }
  };
  const began = performance.now();
  const warm = () => {
    const spent = performance.now() - began;
    if (spent > PATIENCE * bench.warm_ms) return true;
    return spent > bench.warm_ms && running.every(({ times }) => steady(times));
  };
  if (bench.kind !== 'first') {
    do await round(true);
    while (!warm());
  }
  for (const subject of running) subject.times = [];
  for (let i = 0; i < bench.runs; i++) await round(false);
  const base = running.find(({ subject }) => subject === bench.base)?.times;
  for (const { subject, guest, times, scale } of running) {
    try {
      const result = guest.close();
      const figures = { runs: times.length, median: median(times) * scale, min: Math.min(...times) * scale };
      const ratio = base?.length === times.length ? median(times.map((time, i) => time / base[i])) : null;
      report({ bench: bench.bench, subject, result, ratio, ...figures });
    } catch (error) {
      failed({ subject }, error);
    }
  }
}

function steady(times) {
  if (times.length < 2 * WINDOW) return false;
  return Math.min(...times.slice(-WINDOW)) > Math.min(...times.slice(0, -WINDOW)) * (1 - STEADY);
}

function median(times) {
  const sorted = [...times].sort((a, b) => a - b);
  return (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2;
}

function report(line) {
  console.log(JSON.stringify(line));
}

for (const bench of JSON.parse(readFileSync(process.argv[2], 'utf8'))) await run(bench);
