// A host for QuickJS as Emscripten linked it: its imports by hand, and functions of the host that scripts can call.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';

const NAMES = new Map(
  readFileSync(new URL('exports.txt', import.meta.url), 'utf8')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => line.split(' ')),
);

/** What the imports that suspend give, as `import` of a suspension wants them. */
const RESULTS = { s: 'i32', p: 'f64', n: 'none', m: 'none' };

/** `JS_EVAL_TYPE_GLOBAL`. */
const GLOBAL = 0;

class QuickJs {
  #suspension;
  #exports;
  #memory = new WebAssembly.Memory({ initial: 256, maximum: 32768 });
  #context;
  #milliseconds = 1_700_000_000_000;
  #functions = new Map();
  output = [];

  constructor(module, suspension) {
    this.#suspension = suspension;
    const imports = this.#imports();
    for (const [name, result] of Object.entries(RESULTS)) {
      imports[name] = suspension.import(`a.${name}`, imports[name], result);
    }
    this.#exports = new WebAssembly.Instance(module, { a: { a: this.#memory, ...imports } }).exports;
    suspension.attach(this.#exports, this.#memory, {
      malloc: (size) => this.#plain('malloc', size),
      free: (pointer) => this.#plain('free', pointer),
    });
    this.#plain('__wasm_call_ctors');
  }

  /** What a script prints, and its value or how it failed, as text. */
  run(source) {
    const runtime = this.#plain('QTS_NewRuntime');
    // Endless recursion has to end before it has used up the engine's own stack.
    this.#plain('QTS_RuntimeSetMaxStackSize', runtime, 48 * 1024);
    this.#context = this.#call('QTS_NewContext', runtime, 0);
    this.#define('host', 1, ([value]) => this.#duplicate(value));
    this.#define('hostNumber', 1, ([value]) => this.#number(2 * this.#toNumber(value) + 1));
    this.#define('hostCompare', 2, ([a, b]) => this.#number(this.#toNumber(a) - this.#toNumber(b)));
    this.#define('hostUpper', 1, ([value]) => this.#string(this.#toString(value).toUpperCase()));
    this.#define('hostThrow', 1, ([value]) => this.#plain('QTS_Throw', this.#context, value));
    this.#define('hostEval', 1, ([value]) => this.#eval(this.#toString(value), 'nested.js'));
    this.#define('hostCall', 2, ([callee, argument]) => this.#callValue(callee, argument));
    this.#define('print', 1, ([value]) => {
      this.output.push(this.#toString(value));
      return 0;
    });
    const value = this.#eval(source, 'script.js');
    const error = this.#plain('QTS_ResolveException', this.#context, value);
    this.output.push(error === 0 ? `value: ${this.#toString(value)}` : `error: ${this.#toString(error)}`);
    if (error !== 0) this.#plain('QTS_FreeValuePointer', this.#context, error);
    this.#plain('QTS_FreeValuePointer', this.#context, value);
    while (this.#plain('QTS_IsJobPending', runtime) !== 0) this.#runJob(runtime);
    this.#plain('QTS_FreeContext', this.#context);
    this.#plain('QTS_FreeRuntime', runtime);
    return this.output;
  }

  #runJob(runtime) {
    const context = this.#plain('malloc', 4);
    const result = this.#call('QTS_ExecutePendingJob', runtime, 255, context);
    this.#plain('QTS_FreeValuePointer', this.#context, result);
    this.#plain('free', context);
  }

  /** An export that calls no import which suspends. */
  #plain(name, ...args) {
    return this.#exports[NAMES.get(name)](...args);
  }

  /** An export that may suspend. */
  #call(name, ...args) {
    return this.#suspension.call(NAMES.get(name), ...args);
  }

  #define(name, arity, body) {
    const id = this.#functions.size + 1;
    this.#functions.set(id, body);
    const text = this.#toC(name);
    const callee = this.#plain('QTS_NewFunction', this.#context, text, arity, 0, id);
    this.#plain('free', text);
    const global = this.#plain('QTS_GetGlobalObject', this.#context);
    const key = this.#string(name);
    this.#plain('QTS_SetProp', this.#context, global, key, callee);
    for (const value of [global, key, callee]) this.#plain('QTS_FreeValuePointer', this.#context, value);
  }

  #eval(source, file) {
    const [code, name] = [this.#toC(source), this.#toC(file)];
    const length = Buffer.byteLength(source);
    const value = this.#call('QTS_Eval', this.#context, code, length, name, 0, GLOBAL);
    this.#plain('free', code);
    this.#plain('free', name);
    return value;
  }

  #callValue(callee, argument) {
    const undefinedThis = this.#eval('undefined', 'this.js');
    const argv = this.#plain('malloc', 4);
    new DataView(this.#memory.buffer).setInt32(argv, argument, true);
    const value = this.#call('QTS_Call', this.#context, callee, undefinedThis, 1, argv);
    this.#plain('free', argv);
    this.#plain('QTS_FreeValuePointer', this.#context, undefinedThis);
    return value;
  }

  #duplicate(value) {
    return this.#plain('QTS_DupValuePointer', this.#context, value);
  }

  #number(value) {
    return this.#plain('QTS_NewFloat64', this.#context, value);
  }

  #toNumber(value) {
    return this.#plain('QTS_GetFloat64', this.#context, value);
  }

  #string(text) {
    const pointer = this.#toC(text);
    const value = this.#plain('QTS_NewString', this.#context, pointer);
    this.#plain('free', pointer);
    return value;
  }

  /** Of a string or what scripts turned into one: converting an object would run script code. */
  #toString(value) {
    const pointer = this.#call('QTS_GetString', this.#context, value);
    const text = this.#fromC(pointer);
    this.#plain('QTS_FreeCString', this.#context, pointer);
    return text;
  }

  #toC(text) {
    const bytes = Buffer.from(`${text}\0`);
    const pointer = this.#plain('malloc', bytes.length);
    new Uint8Array(this.#memory.buffer, pointer, bytes.length).set(bytes);
    return pointer;
  }

  #fromC(pointer) {
    const bytes = new Uint8Array(this.#memory.buffer, pointer);
    return Buffer.from(bytes.subarray(0, bytes.indexOf(0))).toString();
  }

  /** In the order of their letters; what no script reaches fails. */
  #imports() {
    const unused = (letter) => () => assert.fail(`QuickJS calls import a.${letter}`);
    const imports = {
      b: (text, file, line) => assert.fail(`${this.#fromC(text)} at ${this.#fromC(file)}:${line}`),
      // An empty environment.
      e: () => 0,
      f: (count, size) => {
        for (const pointer of [count, size]) new DataView(this.#memory.buffer).setInt32(pointer, 0, true);
        return 0;
      },
      // memory.grow, as malloc asks for it.
      k: (size) => {
        const pages = Math.ceil(((size >>> 0) - this.#memory.buffer.byteLength) / 65536);
        if (pages > 0) this.#memory.grow(pages);
        return 1;
      },
      // localtime: UTC.
      m: (seconds, into) => {
        const date = new Date(1000 * Number(seconds));
        const yearDay = Math.floor((date - Date.UTC(date.getUTCFullYear(), 0)) / 86_400_000);
        const fields = [date.getUTCSeconds(), date.getUTCMinutes(), date.getUTCHours(), date.getUTCDate(), date.getUTCMonth()];
        fields.push(date.getUTCFullYear() - 1900, date.getUTCDay(), yearDay, 0, 0);
        new Int32Array(this.#memory.buffer, into, fields.length).set(fields);
      },
      // tzset: UTC.
      n: (timezone, daylight, standardName, daylightName) => {
        const view = new DataView(this.#memory.buffer);
        view.setInt32(timezone, 0, true);
        view.setInt32(daylight, 0, true);
        for (const name of [standardName, daylightName]) {
          new Uint8Array(this.#memory.buffer, name, 4).set(Buffer.from('UTC\0'));
        }
      },
      // The clock. It ticks each time that it is read.
      p: () => (this.#milliseconds += 1),
      s: (_context, _this, argc, argv, id) => {
        const args = [];
        for (let index = 0; index < argc; index += 1) {
          args.push(this.#plain('QTS_ArgvGetJSValueConstPointer', argv, index));
        }
        return this.#functions.get(id)(args);
      },
      t: () => {},
    };
    for (const letter of 'cdefghijlmnoqr') imports[letter] ??= unused(letter);
    return imports;
  }
}

/** What a script prints and gives. */
export function run(module, suspension, source) {
  return new QuickJs(module, suspension).run(source);
}
