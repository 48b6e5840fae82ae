// The asyncify ABI itself, with guests written by hand: what users of Binaryen's pass rely on, and what happens where they do wrong.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { load, sameAsBase } from '../harness/load.mjs';
import { LOWERINGS } from '../harness/lowerings.mjs';
import { random } from '../harness/suspension.mjs';
import { Guest, STATE, outcome, sleeper } from './host.mjs';

/** One test for each way of lowering that `which` wants. */
function each(title, body, which = () => true) {
  for (const lowering of LOWERINGS.filter(which)) test(`${lowering.name}, ${title}`, () => body(lowering));
}

const own = (lowering) => lowering.own;
/** The buffer is the host's own again after stop_rewind. */
const unpromised = (lowering) => !lowering.stable;

const answer = (n) => (n * 7 + 3) % 11;

// Every shape of stack.

/** The notes of a run and its result. */
function sleeps(module, suspension, name, arg) {
  const notes = [];
  const real = { sleep: answer, sleep_wide: (l, f, d) => Number(l % 1001n) + f * 2 + d };
  let exports;
  const imports = {
    sleep: suspension.import('sleep', real.sleep),
    sleep_wide: suspension.import('sleep_wide', real.sleep_wide, 'f64'),
    call_back: suspension.import('call_back', (n) => suspension.call('recursion', n)),
    note: (n) => void notes.push(n),
  };
  ({ exports } = new WebAssembly.Instance(module, { env: imports }));
  // The guest uses nothing beyond 4 KiB; one block for each call that is open.
  let top = 4096;
  const spare = [];
  const heap = { malloc: () => spare.pop() ?? (top += 8192) - 8192, free: (block) => void spare.push(block) };
  suspension.attach(exports, exports.memory, heap);
  const results = [arg, arg + 1].map((n) => suspension.call(name, n));
  return { results, notes };
}

const SHAPES = {
  once: 4,
  tail: 4,
  twice: 5,
  operands: 9,
  loop: 20,
  loops: 6,
  branches: 0,
  switch: 0,
  recursion: 12,
  deep: 200,
  even: 20,
  wide: 3,
  effects: 2,
  returns: 2,
  beside_host: 3,
  through_host: 3,
};

for (const [name, arg] of Object.entries(SHAPES)) {
  sameAsBase('asyncify-sleep', name, (module, suspension) => sleeps(module, suspension, name, arg), {
    size: 8192,
    chances: [{ chance: 1, seed: 1 }, { chance: 0.5, seed: 7 }],
  });
}
for (const which of [1, 2, 3, 4]) {
  const run = (module, suspension) => sleeps(module, suspension, 'indirect', which);
  sameAsBase('asyncify-sleep', `indirect ${which}`, run, { size: 8192, chances: [{ chance: 1, seed: 1 }] });
}

// One buffer, step by step.

const BUFFER = 8192;

/** A guest whose `sleep` suspends into the buffers of `choose`. */
function sleeper_guest(lowering, choose) {
  const guest = new Guest(load('asyncify-sleep', lowering), (guest) => ({
    sleep: sleeper(guest, () => choose(guest), answer),
    sleep_wide: sleeper(guest, () => choose(guest), () => 0),
    call_back: (n) => guest.exports.recursion(n),
    note: () => {},
  }));
  return guest;
}

/** What an export gives without any suspension. */
function expected(name, arg) {
  const env = { sleep: answer, sleep_wide: () => 0, call_back: (n) => exports.recursion(n), note: () => {} };
  const { exports } = new WebAssembly.Instance(load('asyncify-sleep'), { env });
  return exports[name](arg);
}

each('the state is normal, unwinding, normal, rewinding and normal again', (lowering) => {
  const states = [];
  let buffer;
  const guest = sleeper_guest(lowering, () => {
    states.push(guest.state);
    return buffer;
  });
  buffer = guest.buffer(BUFFER);
  const see = () => states.push(guest.state);
  guest.exports.once(1);
  see();
  guest.exports.asyncify_stop_unwind();
  see();
  guest.exports.asyncify_start_rewind(BUFFER);
  see();
  assert.equal(guest.exports.once(1), expected('once', 1));
  see();
  assert.deepEqual(states, [0, 1, 0, 2, 0]);
});

each('an export that does not suspend is called as ever', (lowering) => {
  const guest = sleeper_guest(lowering, () => undefined);
  for (const name of ['plain', 'once', 'deep', 'loops']) assert.equal(guest.exports[name](3), expected(name, 3), name);
  assert.equal(guest.state, STATE.normal);
});

each('other exports may be called while a call is suspended', (lowering) => {
  let buffer;
  let suspending = true;
  const guest = sleeper_guest(lowering, () => (suspending ? buffer : undefined));
  buffer = guest.buffer(BUFFER);
  guest.suspend('deep', 10);
  suspending = false;
  assert.equal(guest.exports.plain(4), 8);
  assert.equal(guest.exports.recursion(3), expected('recursion', 3));
  suspending = true;
  assert.equal(guest.resume(buffer, 'deep', 10), expected('deep', 10));
});

each('`current` is back at the beginning after stop_rewind, and frames were behind it', (lowering) => {
  let buffer;
  let before = 0;
  const guest = sleeper_guest(lowering, () => {
    before = buffer.current;
    return buffer;
  });
  buffer = guest.buffer(BUFFER);
  guest.suspend('loop', 5);
  for (let slept = 1; slept <= 5; slept += 1) {
    assert.equal(before, buffer.start);
    assert.ok(buffer.start < buffer.current && buffer.current <= buffer.end);
    const result = guest.resume(buffer, 'loop', 5);
    if (result === undefined) continue;
    assert.equal(slept, 5);
    assert.equal(result, expected('loop', 5));
    break;
  }
  assert.equal(buffer.current, buffer.start);
});

each('the host may set `current` back before each suspension', (lowering) => {
  let buffer;
  const guest = sleeper_guest(lowering, () => {
    buffer.reset();
    return buffer;
  });
  buffer = guest.buffer(BUFFER);
  for (const name of ['recursion', 'loops', 'even']) {
    guest.suspend(name, 6);
    const result = guest.finish(() => buffer, name, 6);
    assert.equal(result, expected(name, 6), name);
  }
});

each('frames begin at `current`, wherever that is', (lowering) => {
  let buffer;
  const guest = sleeper_guest(lowering, () => buffer);
  buffer = guest.buffer(BUFFER);
  buffer.bytes.fill(0x77, 8);
  new Int32Array(guest.exports.memory.buffer, BUFFER, 1)[0] = BUFFER + 200;
  guest.suspend('twice', 3);
  assert.equal(guest.resume(buffer, 'twice', 3), undefined);
  assert.equal(guest.resume(buffer, 'twice', 3), expected('twice', 3));
  assert.ok(buffer.bytes.subarray(8, 200).every((byte) => byte === 0x77));
  assert.equal(buffer.current, BUFFER + 200);
});

each('`current` and `end` may be written when start_unwind has returned', (lowering) => {
  let buffer;
  const guest = new Guest(load('asyncify-sleep', lowering), (guest) => {
    const sleep = sleeper(guest, () => buffer, answer);
    const late = (n) => {
      const dummy = sleep(n);
      if (guest.state === STATE.unwinding) buffer.reset();
      return dummy;
    };
    return { sleep: late, sleep_wide: () => 0, call_back: () => 0, note: () => {} };
  });
  buffer = guest.buffer(BUFFER);
  new Int32Array(guest.exports.memory.buffer, BUFFER, 2).fill(0);
  guest.suspend('deep', 4);
  assert.equal(guest.resume(buffer, 'deep', 4), expected('deep', 4));
});

each('the next unwinding may begin without a call between, and a rewinding without stop_unwind', (lowering) => {
  let buffer;
  const guest = sleeper_guest(lowering, () => buffer);
  buffer = guest.buffer(BUFFER);
  guest.exports.twice(2);
  assert.equal(guest.state, STATE.unwinding);
  guest.exports.asyncify_start_rewind(BUFFER);
  guest.exports.twice(2);
  assert.equal(guest.state, STATE.unwinding);
  guest.exports.asyncify_start_rewind(BUFFER);
  assert.equal(guest.exports.twice(2), expected('twice', 2));
  assert.equal(guest.state, STATE.normal);
});

// The buffer is the host's.

for (const name of ['recursion', 'loops', 'even', 'operands']) {
  const through = (lowering, choose, resumed = () => {}) => {
    const guest = new Guest(load('asyncify-sleep', lowering), (guest) => ({
      sleep: sleeper(guest, () => choose(guest), (n) => (resumed(guest), answer(n))),
      sleep_wide: () => 0,
      call_back: () => 0,
      note: () => {},
    }));
    return guest;
  };

  each(
    `${name}: the buffer is overwritten once it was rewound`,
    (lowering) => {
      let buffer;
      const guest = through(
        lowering,
        (guest) => (buffer = guest.buffer(BUFFER)),
        () => buffer.fill(0xff),
      );
      guest.suspend(name, 5);
      const result = guest.finish(() => buffer, name, 5);
      assert.equal(result, expected(name, 5));
    },
    unpromised,
  );

  each(
    `${name}: each suspension has another buffer, and those of before are overwritten`,
    (lowering) => {
      let turn = 0;
      let buffer;
      const guest = through(
        lowering,
        (guest) => (buffer = guest.buffer(BUFFER + 4096 * (turn++ % 5))),
        () => buffer.fill(0xee),
      );
      guest.suspend(name, 5);
      const result = guest.finish(() => buffer, name, 5);
      assert.equal(result, expected(name, 5));
      assert.ok(turn > 2);
    },
    unpromised,
  );

  each(`${name}: two buffers by turns`, (lowering) => {
    let turn = 0;
    let buffer;
    const buffers = [];
    const guest = through(lowering, () => (buffer = buffers[turn++ % 2]));
    buffers.push(guest.buffer(BUFFER), guest.buffer(BUFFER + 4096));
    const { value, trap } = outcome(() => {
      guest.suspend(name, 5);
      const result = guest.finish(() => buffer, name, 5);
      return result;
    });
    // Who promised that buffers stay as they are may be held to one of them.
    if (lowering.stable && trap !== undefined) return;
    assert.ifError(trap);
    assert.equal(value, expected(name, 5));
  });

  each(
    `${name}: a buffer that moved while it was suspended works or is refused`,
    (lowering) => {
      let buffer;
      const guest = through(lowering, () => buffer);
      buffer = guest.buffer(BUFFER);
      const { value, trap } = outcome(() => {
        guest.suspend(name, 5);
        let result;
        for (let time = 0; result === undefined && time < 1000; time += 1) {
          const to = buffer.address === BUFFER ? BUFFER + 4096 : BUFFER;
          const used = buffer.current - buffer.address;
          const copy = buffer.bytes.slice(0, used);
          buffer.fill(0xdd);
          buffer = guest.buffer(to);
          buffer.bytes.set(copy.subarray(8), 8);
          new Int32Array(guest.exports.memory.buffer, to, 1)[0] = to + used;
          result = guest.resume(buffer, name, 5);
        }
        return result;
      });
      if (trap === undefined) assert.equal(value, expected(name, 5));
      else assert.ok(lowering.own, trap.stack);
    },
    unpromised,
  );

  each(`${name}: a buffer that is given back as it was is rewound a second time`, (lowering) => {
    let buffer;
    let suspending = true;
    const guest = through(lowering, () => (suspending ? buffer : undefined));
    buffer = guest.buffer(BUFFER);
    guest.suspend(name, 5);
    const copy = buffer.bytes.slice();
    suspending = false;
    assert.equal(guest.resume(buffer, name, 5), expected(name, 5));
    buffer.bytes.set(copy);
    const { value, trap } = outcome(() => guest.resume(buffer, name, 5));
    assert.equal(trap, undefined);
    assert.equal(value, expected(name, 5));
  });

  each(
    `${name}: a buffer that was rewound and is empty is refused`,
    (lowering) => {
      let buffer;
      let suspending = true;
      const guest = through(lowering, () => (suspending ? buffer : undefined));
      buffer = guest.buffer(BUFFER);
      guest.suspend(name, 5);
      suspending = false;
      assert.equal(guest.resume(buffer, name, 5), expected(name, 5));
      const { value, trap } = outcome(() => guest.resume(buffer, name, 5));
      assert.ok(trap !== undefined, `it is not refused, and gives ${value}`);
    },
    own,
  );
}

// Buffers that are too small.

for (const [name, arg] of [['deep', 6], ['recursion', 3], ['operands', 1], ['tail', 1]]) {
  each(`${name}: a buffer that is too small traps, and nothing behind it is written`, (lowering) => {
    const outcomes = [];
    for (let room = 0; room <= 512; room += 4) {
      let buffer;
      const guest = sleeper_guest(lowering, () => buffer);
      const memory = new Uint8Array(guest.exports.memory.buffer);
      memory.fill(0x5c, BUFFER);
      buffer = guest.buffer(BUFFER, 8 + room);
      const { value, trap } = outcome(() => {
        guest.suspend(name, arg);
        const result = guest.finish(() => buffer, name, arg);
        return result;
      });
      outcomes.push(trap === undefined);
      if (trap === undefined) assert.equal(value, expected(name, arg));
      if (lowering.own) {
        const written = memory.subarray(buffer.end, buffer.end + 8192).findIndex((byte) => byte !== 0x5c);
        assert.equal(written, -1, `with room for ${room} bytes, byte ${written} behind the end is written`);
      }
    }
    assert.equal(outcomes.at(-1), true, 'with 512 bytes it works');
    // Once it fits it fits.
    assert.deepEqual(outcomes, [...outcomes].sort());
    if (name !== 'tail') assert.equal(outcomes[0], false, 'without any room it does not');
  });
}

each('a buffer whose `current` lies behind its `end` is refused', (lowering) => {
  let buffer;
  const guest = sleeper_guest(lowering, () => buffer);
  buffer = guest.buffer(BUFFER);
  new Int32Array(guest.exports.memory.buffer, BUFFER, 2).set([BUFFER + 100, BUFFER + 50]);
  const { trap } = outcome(() => guest.suspend('deep', 3));
  assert.ok(trap !== undefined);
});

// Several at a time.

/** Coroutines with a buffer each. `order(step, alive)` says which of those alive goes on. */
function coroutines(lowering, kinds, order) {
  const log = [];
  let running;
  const guest = new Guest(load('asyncify-coroutines', lowering), (guest) => ({
    yield: sleeper(guest, () => running.buffer, (id, value) => void log.push(`${id} goes on`, value), undefined),
  }));
  const all = kinds.map(([name, count], index) => {
    return { name, args: [index + 1, count], buffer: guest.buffer(BUFFER + 4096 * index), started: false };
  });
  let alive = [...all];
  for (let step = 0; alive.length > 0; step += 1) {
    assert.ok(step < 1000, 'they suspend for ever');
    running = order(step, alive);
    const { name, args, buffer, started } = running;
    const result = started ? guest.resume(buffer, name, ...args) : guest.suspend(name, ...args);
    running.started = true;
    if (result === undefined) continue;
    log.push(`${args[0]} ends with ${result}`);
    alive = alive.filter((other) => other !== running);
  }
  return log;
}

/** The same by generators of JavaScript. */
function model(kinds, order) {
  const log = [];
  const step = {
    linear: (n) => n + 10,
    exponential: (n) => n * 2,
  };
  function* sequence(name, id, count) {
    if (name === 'tree') return yield* tree(id, count);
    let value = id;
    for (let left = count; left > 0; left -= 1) {
      yield value;
      value = step[name](value);
    }
    return value;
  }
  function* tree(id, depth) {
    if (depth === 0) return 0;
    const left = yield* tree(id, depth - 1);
    yield depth + left;
    return 1 + left + (yield* tree(id, depth - 1));
  }
  let alive = kinds.map(([name, count], index) => ({ id: index + 1, run: sequence(name, index + 1, count), last: undefined }));
  for (let at = 0; alive.length > 0; at += 1) {
    const running = order(at, alive);
    if (running.last !== undefined) log.push(`${running.id} goes on`, running.last);
    const { value, done } = running.run.next();
    running.last = value;
    if (!done) continue;
    log.push(`${running.id} ends with ${value}`);
    alive = alive.filter((other) => other !== running);
  }
  return log;
}

const KINDS = [['linear', 6], ['exponential', 9], ['tree', 4], ['linear', 1], ['tree', 3]];
const ORDERS = {
  'one after the other': () => (_step, alive) => alive[0],
  'the last first': () => (_step, alive) => alive.at(-1),
  'by turns': () => (step, alive) => alive[step % alive.length],
  'by chance': () => {
    const dice = random(99);
    return (_step, alive) => alive[Math.floor(dice() * alive.length)];
  },
};

for (const [name, order] of Object.entries(ORDERS)) {
  each(`coroutines, ${name}`, (lowering) => {
    for (const kinds of [KINDS.slice(0, 1), KINDS.slice(1, 3), KINDS]) {
      assert.deepEqual(coroutines(lowering, kinds, order()), model(kinds, order()));
    }
  });
}

each('a coroutine that is never resumed is in nobody\'s way', (lowering) => {
  let buffer;
  const guest = new Guest(load('asyncify-coroutines', lowering), (guest) => ({
    yield: sleeper(guest, () => buffer, () => {}, undefined),
  }));
  buffer = guest.buffer(BUFFER);
  guest.suspend('tree', 1, 4);
  if (!lowering.stable) buffer.fill(0xcc);
  buffer = guest.buffer(BUFFER);
  guest.suspend('tree', 2, 3);
  const result = guest.finish(() => buffer, 'tree', 2, 3);
  assert.equal(result, 7);
});

// The host in the middle.

each('export, host, export, suspend: the host\'s frame is rewound, too, or that is refused', (lowering) => {
  let buffer;
  const guest = sleeper_guest(lowering, () => buffer);
  buffer = guest.buffer(BUFFER);
  const { value, trap } = outcome(() => {
    guest.suspend('through_host', 4);
    const result = guest.finish(() => buffer, 'through_host', 4);
    return result;
  });
  if (trap === undefined) assert.equal(value, expected('through_host', 4));
  else assert.ok(lowering.own, trap.stack);
});

each('a function out of the table is called by the host and suspends, or that is refused', (lowering) => {
  for (const index of [1, 2, 3]) {
    let buffer;
    const guest = sleeper_guest(lowering, () => buffer);
    buffer = guest.buffer(BUFFER);
    const direct = new WebAssembly.Instance(load('asyncify-sleep'), {
      env: { sleep: answer, sleep_wide: () => 0, call_back: () => 0, note: () => {} },
    });
    const { value, trap } = outcome(() => {
      const callee = guest.exports.table.get(index);
      let result = callee(4);
      for (let time = 0; time < 1000 && guest.state === STATE.unwinding; time += 1) {
        guest.exports.asyncify_stop_unwind();
        guest.exports.asyncify_start_rewind(BUFFER);
        result = callee(4);
      }
      return result;
    });
    if (trap === undefined) assert.equal(value, direct.exports.table.get(index)(4));
    else assert.ok(lowering.own, trap.stack);
  }
});

// An import that was not named.

for (const name of ['left_alone', 'mixed']) {
  each(
    `${name}: an import suspends that nobody named, and that traps`,
    (lowering) => {
      const guest = new Guest(load('asyncify-unnamed', lowering), (guest) => ({
        named: () => 1,
        unnamed: () => {
          guest.exports.asyncify_start_unwind(BUFFER);
          return 0;
        },
      }));
      guest.buffer(BUFFER);
      const { value, trap } = outcome(() => guest.exports[name](5));
      assert.ok(trap !== undefined, `it gives ${value}`);
    },
    own,
  );
}

// Nothing but the guest.

each('a guest that imports asyncify suspends and resumes itself', (lowering) => {
  const printed = [];
  const { exports } = new WebAssembly.Instance(load('asyncify-inside', lowering), {
    env: { print: (n) => void printed.push(n) },
  });
  assert.equal(exports.run(4), 10);
  const expected = [104, 103, 102, 101, 100];
  for (let n = 0; n <= 4; n += 1) expected.push(0, 200 + n);
  assert.deepEqual(printed, expected);
  assert.equal(exports.run(0), 0);
  assert.deepEqual(printed.slice(expected.length), [100, 0, 200]);
});
