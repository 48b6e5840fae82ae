// The host of the guests in this folder, one step at a time: tests see each of them.

import assert from 'node:assert/strict';

export const STATE = { normal: 0, unwinding: 1, rewinding: 2 };

/** A buffer in the guest's memory: two pointers, then room for frames. */
export class Buffer {
  #memory;

  constructor(memory, address, size) {
    this.#memory = memory;
    this.address = address;
    this.size = size;
    this.start = address + 8;
    this.end = address + size;
    this.reset();
  }

  get #header() {
    return new Int32Array(this.#memory.buffer, this.address, 2);
  }

  get current() {
    return this.#header[0];
  }

  /** Says that it is empty. */
  reset() {
    this.#header.set([this.start, this.end]);
  }

  /** All that is in it, the pointers too. */
  get bytes() {
    return new Uint8Array(this.#memory.buffer, this.address, this.size);
  }

  fill(byte) {
    this.bytes.fill(byte);
  }
}

/** An instance; `imports` are the host's functions, made with the guest as their argument. */
export class Guest {
  constructor(module, imports) {
    this.exports = new WebAssembly.Instance(module, { env: imports(this) }).exports;
  }

  buffer(address, size = 4096) {
    return new Buffer(this.exports.memory, address, size);
  }

  get state() {
    return this.exports.asyncify_get_state();
  }

  /** Calls an export that will suspend into `buffer`. */
  suspend(name, ...args) {
    this.exports[name](...args);
    assert.equal(this.state, STATE.unwinding, `\`${name}\` suspends`);
    this.exports.asyncify_stop_unwind();
    assert.equal(this.state, STATE.normal);
  }

  /** Resumes out of `buffer`; gives the result, or `undefined` if the call suspends again. */
  resume(buffer, name, ...args) {
    this.exports.asyncify_start_rewind(buffer.address);
    assert.equal(this.state, STATE.rewinding);
    const result = this.exports[name](...args);
    if (this.state === STATE.normal) return result;
    assert.equal(this.state, STATE.unwinding, `\`${name}\` is done or suspends again`);
    this.exports.asyncify_stop_unwind();
    return undefined;
  }

  /** Resumes until the call is done. `buffer` says where it is suspended now. */
  finish(buffer, name, ...args) {
    // More often than any of these calls sleeps.
    for (let time = 0; time < 1000; time += 1) {
      const result = this.resume(buffer(), name, ...args);
      if (result !== undefined) return result;
    }
    return assert.fail(`\`${name}\` suspends for ever`);
  }
}

/** An import that suspends into the buffer that `choose` gives each time, and whose real work is `real`. */
export function sleeper(guest, choose, real, dummy = 0) {
  return (...args) => {
    switch (guest.state) {
      case STATE.rewinding:
        guest.exports.asyncify_stop_rewind();
        return real(...args);
      case STATE.normal: {
        const buffer = choose();
        if (buffer === undefined) return real(...args);
        guest.exports.asyncify_start_unwind(buffer.address);
        return dummy;
      }
      default:
        return assert.fail('called while the stack unwinds');
    }
  };
}

/** What an outcome is: a value, or a trap. Anything else is an error. */
export function outcome(action) {
  try {
    return { value: action() };
  } catch (error) {
    if (error instanceof WebAssembly.RuntimeError) return { trap: error };
    throw error;
  }
}
