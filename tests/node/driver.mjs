// Runs Windlass reactors on Node: the host's side of docs/abi.md, for tests.
//
//   const reactor = await load('guest.wasm', { imports: { env: { call_outside: (a, b) => reactor.call('add', a, b) } } });
//   reactor.initialize();
//   reactor.call('add', 3, 5);                   // 8
//   await reactor.callAsync('sleep', 1_000_000);
//
// Asynchronous calls settle in sweeps: after news (a timer, any other call, tasks still runnable) every pending call is polled.

import { readFile } from 'node:fs/promises';

import { MockClock, SystemClock } from './clock.mjs';
import { KINDS, WindlassError } from './error.mjs';
import { Signature, fromWasm, isMemory, readSignatures, shown, toWasm } from './value.mjs';

export { MockClock, Signature, SystemClock, WindlassError };

const ABI_VERSION = 1;

/** Codes after which the host, too, refuses every call. */
const POISONING_CODES = new Set([4, 8, 13, 14]);

/**
 * Compiles and instantiates a reactor, which is not initialised yet.
 *
 * `source`: a path, a URL, the bytes, or a WebAssembly.Module. Options:
 * - `imports`: functions by module and name, or a function of the reactor that returns them. 64-bit integers are BigInts.
 * - `mayBlock`: whether the guest may sleep in a synchronous call; false.
 * - `clock`: a SystemClock (default), a MockClock, or what looks like one.
 * - `log`: called with each line that the guest logs; by default the lines gather in `reactor.log`.
 * - `maxTasks`: most tasks alive at once.
 */
export async function load(source, options = {}) {
  let module = source;
  if (!(source instanceof WebAssembly.Module)) {
    const path = typeof source === 'string' || source instanceof URL;
    try {
      module = await WebAssembly.compile(path ? await readFile(source) : source);
    } catch (error) {
      throw new WindlassError('Load', { report: error.message, cause: error });
    }
  }
  return new Reactor(module, options);
}

/** One instance of a module. Made by `load`. */
export class Reactor {
  /** Lines of the guest's log, if no function takes them. */
  log = [];

  #module;
  #exports = {};
  #signatures;
  #clock;
  #mayBlock;
  #logLine;
  /** Whether the guest has an error door; without one the host alone remembers. */
  #door;
  #initialised = false;
  #poisoned;
  #closed;
  /** Calls from the host into the guest that have not returned. */
  #open = 0;
  /** An import's error on its way out through the guest. */
  #thrown;
  /** The last import that returned during the innermost call. */
  #returned;

  /** What the guest asked for with `wake_at`, and the earliest that it asked for since a sweep began. */
  #nextWake;
  #earliestWake;
  /** The time of the timer that is set. */
  #armed;
  #clearTimer = () => {};
  /** Pending asynchronous calls by their promises. */
  #pending = new Map();
  #background = false;
  #backgroundFailed = () => {};
  #due = false;
  #scheduled = false;

  constructor(module, { imports = {}, mayBlock = false, clock = new SystemClock(), log, maxTasks } = {}) {
    this.#module = module;
    this.#clock = clock;
    this.#mayBlock = mayBlock;
    this.#logLine = log ?? ((line) => this.log.push(line));
    this.#checkAbi();
    this.#signatures = new Map(
      WebAssembly.Module.customSections(module, 'windlass.exports').flatMap((data) => [...readSignatures(data)]),
    );
    const given = typeof imports === 'function' ? imports(this) : imports;
    const provided = this.#imports({ ...given, windlass_host: this.#hostModule() });
    try {
      this.#exports = new WebAssembly.Instance(module, provided).exports;
    } catch (error) {
      throw new WindlassError('Load', { report: error.message, cause: error });
    }
    this.#door = 'windlass_error_code' in this.#exports;
    if ('windlass_abi_version' in this.#exports) this.#checkVersion(this.#helper('windlass_abi_version'));
    if (maxTasks !== undefined) this.#helper('windlass_max_tasks', maxTasks);
  }

  /** Runs the guest's constructors and init functions: once, before anything else. */
  initialize() {
    this.#refuse();
    if (!this.#door && this.#initialised) throw new WindlassError('AlreadyInitialised');
    if ('_initialize' in this.#exports) this.#enter('_initialize', this.#exports._initialize, []);
    else if (this.#door) throw new WindlassError('Unsupported', { export: '_initialize' });
    this.#initialised = true;
  }

  /** Calls an export and waits for its task. */
  call(name, ...args) {
    return this.#call(name, args);
  }

  /** As `call`, failing with TimedOut after so many milliseconds. */
  callWithDeadline(milliseconds, name, ...args) {
    return this.#call(name, args, milliseconds);
  }

  /** Starts an asynchronous call; the promise settles when its task ends. Nothing that goes wrong is thrown. */
  callAsync(name, ...args) {
    return this.#callAsync(name, args);
  }

  /** As `callAsync`, failing with TimedOut after so many milliseconds. */
  callAsyncWithDeadline(milliseconds, name, ...args) {
    return this.#callAsync(name, args, milliseconds);
  }

  /** Cancels the call of a promise that `callAsync` returned, which rejects with Cancelled. False: it is over. */
  cancel(promise) {
    const call = this.#pending.get(promise);
    if (call === undefined) return false;
    this.#pending.delete(promise);
    this.#arm();
    call.reject(new WindlassError('Cancelled'));
    try {
      this.#abi('windlass_cancel', call.name, call.id);
    } catch {
      // A poisoned instance refuses, and the promise is told all the same.
    }
    this.#news();
    return true;
  }

  /**
   * Refuses every later call, and rejects the pending ones, with Closed and the guest's list of tasks, which is returned, too.
   */
  close() {
    if (this.#closed !== undefined) return this.#closed;
    let report = '';
    try {
      report = this.report();
    } catch {
      // A guest that cannot report any more is closed all the same.
    }
    this.#closed = report;
    for (const call of this.#pending.values()) call.reject(new WindlassError('Closed', { report }));
    this.#pending.clear();
    if (this.#background) this.#backgroundFailed(new WindlassError('Closed', { report }));
    this.#background = false;
    this.#wakeAt(undefined);
    return report;
  }

  /** The guest's list of tasks and what each waits for. */
  report() {
    this.#helper('windlass_report');
    return this.#doorText();
  }

  /**
   * Whether the guest's background tasks run by timers even while no asynchronous call is pending. `onError` hears what ends them.
   */
  setBackground(on, onError = () => {}) {
    this.#refuse();
    this.#helper('windlass_background', on ? 1 : 0);
    this.#background = on;
    this.#backgroundFailed = onError;
    this.#arm();
    if (on) this.#news();
  }

  /** Resumes the background tasks once; whether anything is still runnable. */
  pollBackground() {
    // This is the poll that was asked for; a guest that wants no other need not say so.
    if (this.#nextWake !== undefined && this.#nextWake <= this.#clock.now()) this.#wakeAt(undefined);
    const status = this.#poll(0, 'windlass_poll');
    if (status === 2) throw this.#doorError('windlass_poll');
    return status === 3;
  }

  /** When the guest wants to be polled, in its clock's nanoseconds, or undefined. */
  get nextWake() {
    return this.#nextWake;
  }

  /** The promises of the pending asynchronous calls. */
  get pending() {
    return [...this.#pending.keys()];
  }

  /** The declared calls. */
  get signatures() {
    return [...this.#signatures.values()].filter((signature) => signature.name in this.#exports);
  }

  /** The raw exports, for tests that look behind the ABI. */
  get exports() {
    return this.#exports;
  }

  /** Copies bytes out of the guest's memory; for imports that get an address and a length. */
  read(ptr, len) {
    return this.#bytes(ptr, len).slice();
  }

  /** Copies text out of the guest's memory. */
  readText(ptr, len) {
    return new TextDecoder().decode(this.#bytes(ptr, len));
  }

  /** Copies bytes into the guest's memory. */
  write(ptr, bytes) {
    this.#bytes(ptr, bytes.length).set(bytes);
  }

  // Loading.

  #checkAbi() {
    for (const data of WebAssembly.Module.customSections(this.#module, 'windlass.abi')) {
      if (data.byteLength !== 4) {
        const report = `the section \`windlass.abi\` has ${data.byteLength} bytes instead of 4`;
        throw new WindlassError('Load', { report });
      }
      this.#checkVersion(new DataView(data).getUint32(0, true));
    }
    const intrinsic = WebAssembly.Module.imports(this.#module).find((entry) => entry.module === 'windlass');
    if (intrinsic) throw new WindlassError('NotLowered', { import: `windlass.${intrinsic.name}` });
  }

  #checkVersion(found) {
    if (found !== ABI_VERSION) throw new WindlassError('AbiMismatch', { found, expected: ABI_VERSION });
  }

  /** What the module imports, each function wrapped so that its errors are known for what they are. */
  #imports(given) {
    const provided = {};
    for (const { module, name, kind } of WebAssembly.Module.imports(this.#module)) {
      const item = given[module]?.[name];
      if (item === undefined) throw new WindlassError('MissingImport', { import: `${module}.${name}` });
      const wrap = kind === 'function' && typeof item === 'function';
      (provided[module] ??= {})[name] = wrap ? this.#import(`${module}.${name}`, item) : item;
    }
    return provided;
  }

  #import(name, item) {
    return (...args) => {
      let result;
      try {
        result = item(...args);
      } catch (error) {
        this.#thrown = { import: name, error };
        throw error;
      }
      this.#returned = name;
      return result;
    };
  }

  #hostModule() {
    return {
      now: () => this.#clock.now(),
      wait: (until) => {
        if (!this.#mayBlock) return 1;
        this.#clock.sleepUntil(until);
        return 0;
      },
      wake_at: (until) => this.#wakeAt(until < 0n ? undefined : until),
      log: (ptr, len) => this.#logLine(this.readText(ptr, len)),
    };
  }

  // Calls.

  #call(name, args, timeout) {
    const { signature, lowered } = this.#prepare(name, args, timeout);
    try {
      return this.#lift(signature?.result, this.#enter(name, this.#exports[name], lowered, args));
    } finally {
      if (this.#pending.size > 0 || this.#background) this.#news();
    }
  }

  #callAsync(name, args, timeout) {
    let settle;
    const promise = new Promise((resolve, reject) => {
      settle = { resolve, reject };
    });
    try {
      const { signature, lowered } = this.#prepare(name, args, timeout, `windlass.start.${name}`);
      const id = this.#enter(name, this.#exports[`windlass.start.${name}`], lowered, args);
      if (id === 0) throw this.#doorError(name);
      this.#pending.set(promise, { ...settle, name, id, signature });
      this.#arm();
      this.#news();
    } catch (error) {
      settle.reject(error);
    }
    return promise;
  }

  /** Everything before the guest is entered: checks, arguments, the deadline. */
  #prepare(name, args, timeout, needed) {
    this.#refuse();
    if (!this.#door && '_initialize' in this.#exports && !this.#initialised) throw new WindlassError('NotInitialised');
    const reserved = /^(_|windlass[_.])/.test(name);
    if (reserved || typeof this.#exports[name] !== 'function') {
      const names = Object.keys(this.#exports).filter(
        (other) => typeof this.#exports[other] === 'function' && !/^(_|windlass[_.])/.test(other),
      );
      throw new WindlassError('NoSuchExport', { call: name, available: names });
    }
    for (const other of [needed, timeout === undefined ? undefined : 'windlass_deadline']) {
      if (other !== undefined && !(other in this.#exports)) throw new WindlassError('Unsupported', { export: other });
    }
    const signature = this.#signatures.get(name);
    signature?.check(args);
    const lowered = signature ? this.#lower(signature, args) : args;
    if (timeout !== undefined) {
      const until = this.#clock.now() + BigInt(Math.round(timeout * 1e6));
      this.#helper('windlass_deadline', until < 2n ** 63n ? until : 2n ** 63n - 1n);
    }
    return { signature, lowered };
  }

  #lower(signature, args) {
    const made = [];
    return args.map((arg, index) => {
      const type = signature.params[index];
      if (!isMemory(type)) return toWasm(type, arg);
      const bytes = type === 's' ? new TextEncoder().encode(arg) : arg;
      const ptr = this.#helper('windlass_alloc', bytes.length) >>> 0;
      if (ptr === 0) {
        // The call will not happen, so the earlier arguments are still the host's.
        for (const [ptr, len] of made) this.#helper('windlass_free', ptr, len);
        throw new WindlassError('OutOfMemory', { bytes: bytes.length });
      }
      made.push([ptr, bytes.length]);
      if (bytes.length > 0) this.write(ptr, bytes);
      return BigInt.asIntN(64, (BigInt(bytes.length) << 32n) | BigInt(ptr));
    });
  }

  #lift(type, raw) {
    if (type === 'v') return undefined;
    if (!isMemory(type)) return fromWasm(type, raw);
    const [ptr, len] = [Number(BigInt.asUintN(32, raw)), Number(BigInt.asUintN(32, raw >> 32n))];
    const bytes = len === 0 ? new Uint8Array() : this.read(ptr, len);
    this.#helper('windlass_free', ptr, len);
    if (type === 'b') return bytes;
    try {
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    } catch {
      throw new WindlassError('Protocol', { report: 'a string result is not UTF-8' });
    }
  }

  #bytes(ptr, len) {
    const memory = this.#exports.memory;
    if (!(memory instanceof WebAssembly.Memory)) {
      throw new WindlassError('Protocol', { report: 'the module exports no `memory`, so text and bytes cannot cross' });
    }
    const [start, size] = [ptr >>> 0, memory.buffer.byteLength];
    if (start + len > size) {
      const report = `${len} bytes at ${start} lie outside of its memory of ${size} bytes`;
      throw new WindlassError('Protocol', { report });
    }
    return new Uint8Array(memory.buffer, start, len);
  }

  // Entering the guest, and what comes out of it.

  #refuse() {
    if (this.#closed !== undefined) throw new WindlassError('Closed', { report: this.#closed });
    if (this.#poisoned) throw new WindlassError('Poisoned', { ...this.#poisoned });
  }

  /** The first trap counts: the outer calls that it takes with it explain nothing. */
  #poison(by, report) {
    this.#poisoned ??= { by, report };
  }

  /** Enters by an export that opens a call. */
  #enter(name, func, lowered, args = lowered) {
    const outer = this.#returned;
    this.#returned = undefined;
    this.#open += 1;
    try {
      return func(...lowered);
    } catch (error) {
      throw this.#diagnose(name, error, true, args);
    } finally {
      this.#open -= 1;
      this.#returned = outer;
    }
  }

  /** Calls an export that the ABI names and that opens a call. */
  #abi(name, call, ...args) {
    this.#refuse();
    if (!(name in this.#exports)) throw new WindlassError('Unsupported', { export: name });
    return this.#enter(call, this.#exports[name], args);
  }

  /** Calls an export that opens no call, runs no task and does not use the error door. */
  #helper(name, ...args) {
    if (!(name in this.#exports)) throw new WindlassError('Unsupported', { export: name });
    try {
      return this.#exports[name](...args);
    } catch (error) {
      throw this.#diagnose(name, error, false, args);
    }
  }

  /** Names the error of a call that did not return. */
  #diagnose(call, error, useDoor, args) {
    const thrown = this.#thrown;
    this.#thrown = undefined;
    if (thrown && thrown.error === error) return this.#thrownThrough(call, thrown.import, error);
    if (error instanceof TypeError || error instanceof SyntaxError) {
      // The engine could not convert a value: an import's result, or an argument of a call whose types nobody declared.
      if (this.#returned) return this.#thrownThrough(call, this.#returned, error);
      const declared = `${call}, with ${this.#exports[call]?.length ?? '?'} parameters`;
      return new WindlassError('Signature', { declared, given: shown(call, args) });
    }
    // The guest's own way out. Any other trap happened to it, whatever an earlier error left in the door.
    if (useDoor && this.#door && error instanceof WebAssembly.RuntimeError && error.message === 'unreachable') {
      const code = this.#helper('windlass_error_code');
      if (code !== 0) return this.#named(call, code);
    }
    this.#poison(call, error.message);
    return new WindlassError('Trap', { call, report: error.message, cause: error });
  }

  /**
   * A host error went out through the guest, which takes it for a nested call until told otherwise.
   */
  #thrownThrough(call, name, cause) {
    this.#poison(call, `the import \`${name}\` failed: ${cause}`);
    try {
      this.#helper('windlass_poison');
    } catch {
      // Without the export the host alone remembers; if it traps nothing is lost.
    }
    return new WindlassError('Import', { call, import: name, cause });
  }

  /** The error that the guest left in its door without trapping. */
  #doorError(call) {
    const code = this.#helper('windlass_error_code');
    if (code !== 0) return this.#named(call, code);
    return new WindlassError('Protocol', { report: `\`${call}\` failed without an error code` });
  }

  #doorText() {
    const [ptr, len] = [this.#helper('windlass_error_ptr'), this.#helper('windlass_error_len')];
    return len === 0 ? '' : this.readText(ptr, len);
  }

  #named(call, code) {
    const report = this.#doorText();
    if (POISONING_CODES.has(code)) this.#poison(code === 4 ? '' : call, report);
    const details = { call, report };
    if (code === 3 || code === 9) details.exitCode = this.#helper('windlass_exit_code');
    if (KINDS[code] === undefined) return new WindlassError('Unknown', { ...details, code });
    return new WindlassError(KINDS[code], details);
  }

  // Asynchronous calls.

  #wakeAt(until) {
    this.#nextWake = until;
    if (until !== undefined && (this.#earliestWake === undefined || until < this.#earliestWake)) this.#earliestWake = until;
    this.#arm();
  }

  /** Sets the one timer if anybody waits for it; else it would keep the process alive. */
  #arm() {
    const wanted = this.#pending.size > 0 || this.#background ? this.#nextWake : undefined;
    if (wanted === this.#armed) return;
    this.#clearTimer();
    this.#clearTimer = () => {};
    this.#armed = wanted;
    if (wanted === undefined) return;
    this.#clearTimer = this.#clock.setTimer(wanted, () => {
      this.#armed = undefined;
      this.#due = true;
      // A clock that is moved in an import must not bring the guest into the middle of its call.
      if (this.#open > 0) this.#news();
      else this.#sweep();
    });
  }

  /** Has the pending calls polled when the present turn is over. */
  #news(later = queueMicrotask) {
    if (this.#scheduled) return;
    this.#scheduled = true;
    later(() => {
      this.#scheduled = false;
      this.#sweep();
    });
  }

  #poll(id, name) {
    return this.#abi('windlass_poll', name, id);
  }

  /** Polls whatever is pending once. */
  #sweep() {
    const due = this.#due;
    this.#due = false;
    if (this.#closed !== undefined || (!this.#background && this.#pending.size === 0)) return;
    this.#earliestWake = this.#nextWake;
    let [runnable, settled] = [false, false];
    if (due || this.#background) {
      try {
        runnable = this.pollBackground();
      } catch (error) {
        if (this.#background) {
          this.#background = false;
          this.#arm();
          this.#backgroundFailed(error);
        } else {
          // Somebody must hear of it; the others hear that the instance refuses.
          this.#settle(this.pending[0], () => {
            throw error;
          });
        }
      }
    }
    for (const promise of this.pending) {
      const { id, name, signature } = this.#pending.get(promise) ?? {};
      if (id === undefined) continue;
      let state = 2;
      try {
        state = this.#poll(id, name);
        if (state === 2) throw this.#doorError(name);
      } catch (error) {
        this.#settle(promise, () => {
          throw error;
        });
      }
      if (state === 1) {
        this.#settle(promise, () => this.#lift(signature?.result, this.#abi(`windlass.result.${name}`, name, id)));
      }
      settled ||= state === 1 || state === 2;
      runnable ||= state === 3;
    }
    if (this.#pending.size === 0 && !this.#background) return;
    // A poll that found its call done stopped there, and a timer that came due in between may have finished a call that was
    // polled before it: look again. Tasks still runnable leave Node's own events their turn.
    if (runnable) this.#news(setImmediate);
    else if (settled || (this.#earliestWake !== undefined && this.#earliestWake <= this.#clock.now())) this.#news();
  }

  #settle(promise, outcome) {
    const call = this.#pending.get(promise);
    if (call === undefined) return;
    this.#pending.delete(promise);
    this.#arm();
    try {
      call.resolve(outcome());
    } catch (error) {
      call.reject(error);
    }
  }
}
