// Suspends and resumes an asyncified module as its host would: the protocol of Binaryen's pass, with the suspensions chosen by chance.
//
//   call(export) ─► guest ─► import: start_unwind(buffer), a dummy result ─► guest returns
//        ▲                                                                        │
//        └── start_rewind(buffer), the export again ◄── stop_unwind ◄─────────────┘
//            ... ─► the import again: stop_rewind, the buffer is overwritten, the real result
//
// A call that an import makes into the guest is a loop of its own, with a buffer of its own.

import assert from 'node:assert/strict';

const [NORMAL, UNWINDING, REWINDING] = [0, 1, 2];

/** What a buffer is filled with when it is the guest's again. Read as a frame it is far outside of everything. */
const GARBAGE = 0xa5;

/** More often than any program here suspends in one call. */
const FOR_EVER = 1_000_000;

/** Zeros, as each type of result wants them. */
export const DUMMY = { i32: 0, i64: 0n, f32: 0, f64: 0, none: undefined };

/** Numbers in [0, 1) that are the same in every run: xorshift32. */
export function random(seed) {
  let state = seed | 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}

/** A module that was not lowered, behind the interface of `Suspension`. */
export class Direct {
  suspensions = 0;
  #exports;

  attach(exports) {
    this.#exports = exports;
  }

  import(_name, real) {
    return real;
  }

  call(name, ...args) {
    return this.#exports[name](...args);
  }
}

/** A lowered module whose imports suspend. */
export class Suspension {
  /** How often an import suspended, and was resumed. */
  suspensions = 0;

  #chance;
  #dice;
  #stable;
  #size;
  #exports;
  #memory;
  #heap;
  #calls = [];

  /**
   * `chance` is the probability that a call of an import suspends. `stable` is the promise of `--stable-buffer`: the buffer of a call
   * stays where it is and as it is. `size` is that of each buffer, in bytes.
   */
  constructor({ chance = 1, seed = 1, stable = false, size = 1 << 18 } = {}) {
    this.#chance = chance;
    this.#dice = random(seed);
    this.#stable = stable;
    this.#size = size;
  }

  /** `heap` has the guest's own `malloc` and `free`. */
  attach(exports, memory, heap) {
    this.#exports = exports;
    this.#memory = memory;
    this.#heap = heap;
  }

  /** The import that suspends before it does anything; its `real` work is done once. `result` is its type. */
  import(name, real, result = 'i32') {
    return (...args) => {
      const call = this.#calls.at(-1);
      switch (this.#exports.asyncify_get_state()) {
        case REWINDING: {
          const { suspended } = call;
          assert.deepEqual({ name, args }, suspended, 'an import is called again with the arguments that it had');
          call.suspended = undefined;
          this.#exports.asyncify_stop_rewind();
          assert.equal(this.#exports.asyncify_get_state(), NORMAL);
          this.#giveBack(call);
          return real(...args);
        }
        case NORMAL:
          // Outside of a call there is nobody who could resume.
          if (call === undefined || this.#dice() >= this.#chance) return real(...args);
          call.suspended = { name, args };
          this.#lend(call);
          this.#exports.asyncify_start_unwind(call.buffer);
          assert.equal(this.#exports.asyncify_get_state(), UNWINDING);
          return DUMMY[result];
        default:
          return assert.fail(`\`${name}\` is called while the stack unwinds`);
      }
    };
  }

  /** Calls an export and resumes it until it is done. */
  call(name, ...args) {
    const call = { buffer: undefined, suspended: undefined };
    this.#calls.push(call);
    for (;;) {
      const result = this.#exports[name](...args);
      const state = this.#exports.asyncify_get_state();
      if (state !== UNWINDING) {
        assert.equal(state, NORMAL, `\`${name}\` returned before the import that it was suspended in was reached`);
        assert.equal(call.suspended, undefined, `\`${name}\` returned, but it is suspended`);
        this.#calls.pop();
        if (call.buffer !== undefined) this.#heap.free(call.buffer);
        return result;
      }
      this.#exports.asyncify_stop_unwind();
      assert.equal(this.#exports.asyncify_get_state(), NORMAL);
      this.suspensions += 1;
      assert.ok(this.suspensions < FOR_EVER, `\`${name}\` suspends for ever`);
      const [current, end] = new Int32Array(this.#memory.buffer, call.buffer, 2);
      assert.ok(call.buffer + 8 <= current && current <= end, `frames up to ${current} in ${call.buffer}..${end}`);
      call.used = current - call.buffer;
      // The guest is anybody's while a call is suspended.
      this.#heap.free(this.#heap.malloc(24));
      this.#exports.asyncify_start_rewind(call.buffer);
      assert.equal(this.#exports.asyncify_get_state(), REWINDING);
    }
  }

  #lend(call) {
    if (call.buffer !== undefined) return;
    call.buffer = this.#heap.malloc(this.#size);
    assert.notEqual(call.buffer, 0, 'the guest has memory for a buffer');
    new Int32Array(this.#memory.buffer, call.buffer, 2).set([call.buffer + 8, call.buffer + this.#size]);
  }

  /** As Emscripten does: what was resumed lies in the buffer no more. */
  #giveBack(call) {
    if (this.#stable) return;
    const length = Math.min(this.#size, call.used + 64);
    new Uint8Array(this.#memory.buffer, call.buffer, length).fill(GARBAGE);
    this.#heap.free(call.buffer);
    call.buffer = undefined;
  }
}
