// The host's monotonic clock: `now()` in nanoseconds as a BigInt, `sleepUntil(time)`, and `setTimer(time, callback)`, which returns
// a function that clears the timer.

/** Node's own clock. Sleeping blocks the thread. */
export class SystemClock {
  #origin = process.hrtime.bigint();

  now() {
    return process.hrtime.bigint() - this.#origin;
  }

  sleepUntil(time) {
    const cell = new Int32Array(new SharedArrayBuffer(4));
    for (let left = time - this.now(); left > 0n; left = time - this.now()) {
      Atomics.wait(cell, 0, 0, Number(left) / 1e6);
    }
  }

  setTimer(time, callback) {
    let timer;
    const arm = () => {
      const left = time - this.now();
      // `setTimeout` may be early by a fraction of a millisecond, and cannot express more than 24 days.
      if (left <= 0n) callback();
      else timer = setTimeout(arm, Math.min(Math.ceil(Number(left) / 1e6), 0x7fff_ffff));
    };
    timer = setTimeout(arm, 0);
    return () => clearTimeout(timer);
  }
}

/** A clock for tests, which stands still until it is advanced; sleeping advances it. */
export class MockClock {
  #now = 0n;
  #timers = new Set();
  /** The times that were slept until. */
  slept = [];

  now() {
    return this.#now;
  }

  sleepUntil(time) {
    this.slept.push(time);
    if (time > this.#now) this.advance(time - this.#now);
  }

  setTimer(time, callback) {
    const timer = { time, callback };
    this.#timers.add(timer);
    // What is due already does not wait for the next move, but never fires inside of this call.
    if (time <= this.#now) queueMicrotask(() => this.#timers.delete(timer) && callback());
    return () => this.#timers.delete(timer);
  }

  /** The times of all timers that are set, earliest first. */
  get timers() {
    return [...this.#timers].map((timer) => timer.time).sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
  }

  /** Moves the time forward by nanoseconds and fires the timers that are due, also those set meanwhile, earliest first. */
  advance(by) {
    const until = this.#now + BigInt(by);
    for (;;) {
      let next;
      for (const timer of this.#timers) {
        if (timer.time <= until && (next === undefined || timer.time < next.time)) next = timer;
      }
      if (next === undefined) break;
      this.#timers.delete(next);
      if (next.time > this.#now) this.#now = next.time;
      next.callback();
    }
    this.#now = until;
  }
}
