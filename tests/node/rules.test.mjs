// The thirteen rules of a reactor (docs/semantics.md), sentence by sentence, with the guest tests/guest in Node.
// crates/host/tests/rules.rs has the same list in wasmtime.
//
//   guest(), direct()   through the driver, as an embedder sees the guest
//   raw.*               instance.exports alone: nothing but the guest itself guards the guest, and every import is recorded
//
// Time is a mock clock's in both.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';

import { MockClock, WindlassError, load } from './driver.mjs';

// ---- the guest through the driver

const modules = new Map();

/** The compiled module in the file that the variable names. */
async function compiled(variable) {
  const path = process.env[variable];
  if (!path) throw new Error(`${variable} is not set; \`cargo xtask test\` builds the guest and sets it`);
  if (!modules.has(variable)) modules.set(variable, readFile(path).then((bytes) => WebAssembly.compile(bytes)));
  return modules.get(variable);
}

const GUEST = 'WINDLASS_TEST_GUEST';
const DIRECT = 'WINDLASS_TEST_GUEST_DIRECT';

const unexpected = (_, what) => assert.fail(`the guest calls ${what}`);

/** An instance, its clock, and what the guest's imports saw. `mode` is what init does; see tests/guest/src/tasks.rs. */
async function make({ variable = GUEST, mode = 0, onCall = unexpected, ...options }) {
  const rig = { clock: new MockClock(), initModes: 0, calls: [], notes: [] };
  rig.reactor = await load(await compiled(variable), {
    clock: rig.clock,
    imports: (reactor) => ({
      test: {
        init_mode: () => {
          rig.initModes += 1;
          return mode;
        },
        call: (what) => {
          rig.calls.push(what);
          return onCall(reactor, what, rig);
        },
      },
    }),
    ...options,
  });
  rig.call = (...args) => rig.reactor.call(...args);
  rig.trace = () => rig.call('trace').split('\n').filter(Boolean);
  return rig;
}

async function guest(options = {}) {
  const rig = await make(options);
  rig.reactor.initialize();
  return rig;
}

const direct = (options = {}) => guest({ variable: DIRECT, ...options });

/** What an assertion on an error needs. */
const like = (kind, fields = {}) => (error) => {
  assert.ok(error instanceof WindlassError, String(error.stack));
  assert.equal(error.kind, kind, String(error));
  for (const [name, value] of Object.entries(fields)) {
    if (value instanceof RegExp) assert.match(error[name], value);
    else assert.deepEqual(error[name], value, name);
  }
  return true;
};

/** The error of a call that fails. */
function caught(body) {
  try {
    body();
  } catch (error) {
    return error;
  }
  return assert.fail('it worked');
}

/** Lets everything run that needs no time. */
const turn = () => new Promise((resolve) => setImmediate(resolve));

async function isPending(promise) {
  const pending = Symbol('pending');
  return (await Promise.race([promise.catch(() => {}), turn().then(() => pending)])) === pending;
}

const MS = 1_000_000;
const ms = (count) => BigInt(count * MS);

// ---- the guest through its exports

const failure = (code, report) => ({ code, report });

/** The codes' names (docs/abi.md, section 6), for guests that have no reports. */
const CODES = [
  'trap',
  'not initialised',
  'already initialised',
  'ended',
  'poisoned',
  'deadlock',
  'would wait',
  'timed out',
  'panicked',
  'exited',
  'nested too deep',
  'no task',
  'no such call',
  'stack overflow',
  'would block',
];

/** An instance in a host that remembers nothing about it. */
class Raw {
  now = 0;
  /** How far the time moves whenever the guest looks at it. */
  tick = 0;
  /** So many waits return before the time has moved. */
  early = 0;
  /** Each import that was entered, with its arguments. */
  #entered = [];

  static async new({ variable = GUEST, mode = 0, mayBlock = false, onCall = unexpected } = {}) {
    const raw = new Raw();
    const entered = (entry, result) => {
      raw.#entered.push(entry);
      return result;
    };
    const { exports } = await WebAssembly.instantiate(await compiled(variable), {
      test: {
        init_mode: () => entered('init_mode', mode),
        call: (what) => {
          entered(`call ${what}`);
          return onCall(raw, what);
        },
      },
      windlass_host: {
        now: () => entered('now', BigInt((raw.now += raw.tick))),
        wait: (until) => {
          entered(`wait ${until}`);
          if (!mayBlock) return 1;
          if (raw.early > 0) raw.early -= 1;
          else raw.now = Math.max(raw.now, Number(until));
          return 0;
        },
        wake_at: (until) => entered(`wake_at ${until}`),
        log: () => entered('log'),
      },
    });
    raw.exports = exports;
    return raw;
  }

  static async ready(options) {
    const raw = await Raw.new(options);
    assert.equal(raw.call('_initialize'), undefined);
    raw.entered();
    return raw;
  }

  /** The result, 64 bits as a number, or what the guest left in its error door. */
  call(name, ...params) {
    let result;
    try {
      result = this.exports[name](...params);
    } catch (error) {
      if (!(error instanceof WebAssembly.RuntimeError) && error !== THROWN) throw error;
      return this.door();
    }
    return typeof result === 'bigint' ? Number(result) : result;
  }

  /** The code of a call that fails. */
  fails(name, ...params) {
    const outcome = this.call(name, ...params);
    assert.equal(typeof outcome, 'object', `\`${name}\` worked`);
    return outcome.code;
  }

  door() {
    const { windlass_error_code, windlass_error_ptr, windlass_error_len, memory } = this.exports;
    const code = windlass_error_code();
    if (windlass_error_ptr === undefined) {
      // A guest without the feature `reports`.
      return failure(code, CODES[code] ?? 'unknown');
    }
    const [ptr, len] = [windlass_error_ptr(), windlass_error_len()];
    return failure(code, new TextDecoder().decode(new Uint8Array(memory.buffer, ptr, len)));
  }

  start(name, ...params) {
    const id = this.call(`windlass.start.${name}`, ...params);
    assert.ok(id > 0, `\`${name}\` did not start: ${JSON.stringify(this.door())}`);
    return id;
  }

  poll(id) {
    return this.call('windlass_poll', id);
  }

  report() {
    this.call('windlass_report');
    return this.door().report;
  }

  /** The imports entered since the last time. */
  entered() {
    return this.#entered.splice(0);
  }

  /** The `wake_at` requests since the last time. */
  wakes() {
    return this.entered().flatMap((entry) => (entry.startsWith('wake_at ') ? [Number(entry.slice(8))] : []));
  }
}

/** What an import throws through the guest. */
const THROWN = new Error('thrown through the guest');

const thrower = () => {
  throw THROWN;
};

// ---- rules 1 and 2

const NOT_INITIALISED = failure(1, 'not initialised: call `_initialize` first (if that failed: make a new instance)');
const ALREADY_INITIALISED = failure(2, 'already initialised: `_initialize` is called once');

test('rule_01_constructors_and_init_run_once_however_many_calls', async () => {
  const rig = await guest();
  for (let count = 0; count < 5; count += 1) {
    assert.equal(rig.call('constructed'), 1);
    assert.equal(rig.call('inits'), 1);
  }
  assert.deepEqual(rig.trace(), ['init', 'init done']);
  assert.equal(rig.initModes, 1);
});

test('rule_01_constructors_run_in_initialize_and_not_in_a_refused_call', async () => {
  const rig = await make({});
  assert.throws(() => rig.call('constructed'), like('NotInitialised'));
  assert.throws(() => rig.call('constructed'), like('NotInitialised'));
  rig.reactor.initialize();
  assert.equal(rig.call('constructed'), 1);
});

test('rule_01_init_returns_when_its_task_is_done_and_what_it_spawned_stays_queued', async () => {
  const rig = await guest({ mode: 2 });
  assert.equal(rig.reactor.report(), '  task 1 "yielder": ready');
});

test('rule_01_an_endless_sleeper_does_not_keep_initialize_from_returning', async () => {
  for (const mayBlock of [false, true]) {
    const rig = await guest({ mode: 1, mayBlock });
    assert.equal(rig.reactor.report(), '  task 1 "sleeper": ready');
    // It falls asleep in the first call, and nobody waits for it.
    assert.equal(rig.call('turns'), 0);
    assert.equal(rig.reactor.report(), '  task 1 "sleeper": sleeping');
    assert.deepEqual(rig.clock.slept, []);
  }
});

test('rule_01_an_endless_yielder_does_not_keep_initialize_from_returning', async () => {
  const rig = await guest({ mode: 2 });
  assert.deepEqual(rig.trace(), ['init', 'init done']);
  assert.equal(rig.call('ping'), 7);
});

test('rule_01_an_init_that_blocks_for_ever_is_an_error_that_says_so', async () => {
  for (const mayBlock of [false, true]) {
    const rig = await make({ mode: 3, mayBlock });
    const report = '  task 0 "_initialize": parked';
    assert.throws(() => rig.reactor.initialize(), like('Deadlock', { report }));
    assert.deepEqual(rig.clock.slept, []);
    assert.throws(() => rig.call('ping'), like('NotInitialised'));
  }
});

test('rule_01_an_init_that_would_have_to_wait_is_an_error_that_says_so', async () => {
  const rig = await make({ mode: 4 });
  const report = '  task 0 "_initialize": sleeping';
  assert.throws(() => rig.reactor.initialize(), like('WouldWait', { report }));
  assert.throws(() => rig.call('ping'), like('NotInitialised'));
});

test('rule_01_an_init_may_wait_where_the_host_may_block', async () => {
  const rig = await guest({ mode: 4, mayBlock: true });
  assert.deepEqual(rig.clock.slept, [ms(5)]);
  assert.deepEqual(rig.trace(), ['init', 'init done']);
});

test('rule_01_after_a_failed_init_everything_says_not_initialised', async () => {
  for (const mode of [3, 4]) {
    const raw = await Raw.new({ mode });
    assert.equal(raw.fails('_initialize'), mode === 3 ? 5 : 6);
    raw.entered();
    for (let count = 0; count < 2; count += 1) {
      assert.deepEqual(raw.call('ping'), NOT_INITIALISED);
      assert.equal(raw.call('windlass.start.ping'), 0);
      assert.deepEqual(raw.door(), NOT_INITIALISED);
      assert.equal(raw.poll(0), 2);
      assert.deepEqual(raw.door(), NOT_INITIALISED);
      assert.deepEqual(raw.call('_initialize'), ALREADY_INITIALISED);
    }
    // Nothing ran, and init did not run again.
    assert.deepEqual(raw.entered(), []);
  }
});

test('rule_01_after_a_failed_init_the_init_task_does_not_go_on', async () => {
  const raw = await Raw.new({ mode: 4 });
  assert.equal(raw.fails('_initialize'), 6);
  raw.now = 10 * MS;
  assert.deepEqual(raw.call('ping'), NOT_INITIALISED);
  assert.equal(raw.report(), '  task 0 "_initialize": sleeping');
});

test('rule_01_a_second_initialize_is_an_error_and_the_instance_stays_usable', async () => {
  const rig = await guest();
  assert.throws(() => rig.reactor.initialize(), like('AlreadyInitialised'));
  assert.throws(() => rig.reactor.initialize(), like('AlreadyInitialised'));
  assert.equal(rig.call('ping'), 7);
  assert.equal(rig.call('inits'), 1);
  assert.equal(rig.call('constructed'), 1);
  const raw = await Raw.ready();
  assert.deepEqual(raw.call('_initialize'), ALREADY_INITIALISED);
});

test('rule_01_a_second_initialize_while_init_runs_is_an_error', async () => {
  const raw = await Raw.new({
    mode: 5,
    onCall: (raw) => {
      assert.deepEqual(raw.call('_initialize'), ALREADY_INITIALISED);
      return 7;
    },
  });
  assert.equal(raw.call('_initialize'), undefined);
  assert.deepEqual(raw.entered(), ['init_mode', 'call 50']);
  assert.equal(raw.call('inits'), 1);
});

test('rule_01_an_init_that_panics_poisons_the_instance', async () => {
  const rig = await make({ mode: 6 });
  const error = caught(() => rig.reactor.initialize());
  like('Panicked', { report: /^task 0 "_initialize": panicked at tests\/guest\/src\/tasks.rs:\d+:\d+:\ninit failed on purpose$/ })(error);
  assert.throws(() => rig.call('ping'), like('Poisoned', { by: '_initialize', report: error.report }));
  assert.throws(() => rig.reactor.initialize(), like('Poisoned'));

  const raw = await Raw.new({ mode: 6 });
  assert.equal(raw.fails('_initialize'), 8);
  const poisoned = failure(4, 'poisoned: a trap ended the call `_initialize` half-way; make a new instance');
  assert.deepEqual(raw.call('ping'), poisoned);
  assert.deepEqual(raw.call('_initialize'), poisoned);
});

test('rule_01_an_init_that_exits_ends_the_module', async () => {
  const rig = await make({ mode: 7 });
  assert.throws(() => rig.reactor.initialize(), like('Exited', { exitCode: 3 }));
  assert.throws(() => rig.call('ping'), like('Ended', { exitCode: 3 }));
  assert.throws(() => rig.reactor.initialize(), like('AlreadyInitialised'));
});

test('rule_02_a_call_before_initialize_is_refused_with_its_own_message_and_does_no_harm', async () => {
  const raw = await Raw.new();
  for (let count = 0; count < 2; count += 1) {
    assert.deepEqual(raw.call('ping'), NOT_INITIALISED);
    assert.equal(raw.call('windlass.start.ping'), 0);
    assert.deepEqual(raw.door(), NOT_INITIALISED);
    assert.equal(raw.poll(0), 2);
    assert.deepEqual(raw.door(), NOT_INITIALISED);
  }
  assert.deepEqual(raw.entered(), []);
  assert.equal(raw.call('_initialize'), undefined);
  assert.equal(raw.call('ping'), 7);

  const { reactor } = await make({});
  assert.throws(() => reactor.call('ping'), like('NotInitialised'));
  await assert.rejects(reactor.callAsync('ping'), like('NotInitialised'));
});

test('rule_02_a_refused_call_gives_its_arguments_memory_back', async () => {
  const allocated = async (refused) => {
    const rig = await make({});
    for (let count = 0; count < refused; count += 1) {
      assert.throws(() => rig.call('greet', 'x'.repeat(10_000)), like('NotInitialised'));
    }
    rig.reactor.initialize();
    return rig.call('allocated');
  };
  assert.equal(await allocated(1), await allocated(50));
});

test('rule_02_a_call_after_exit_is_refused_with_its_own_message', async () => {
  const raw = await Raw.ready();
  const ended = failure(3, 'the module ended before, with exit code 5');
  assert.deepEqual(raw.call('exit_with', 5), failure(9, 'the module has ended with exit code 5'));
  assert.equal(raw.call('windlass_exit_code'), 5);
  for (let count = 0; count < 2; count += 1) {
    assert.deepEqual(raw.call('ping'), ended);
    assert.equal(raw.call('windlass.start.ping'), 0);
    assert.deepEqual(raw.door(), ended);
    assert.equal(raw.poll(0), 2);
    assert.deepEqual(raw.door(), ended);
  }
  assert.equal(raw.call('windlass_exit_code'), 5);

  const { reactor } = await guest();
  assert.throws(() => reactor.call('exit_with', -1), like('Exited', { exitCode: -1 }));
  assert.throws(() => reactor.call('ping'), like('Ended', { exitCode: -1 }));
  await assert.rejects(reactor.callAsync('ping'), like('Ended', { exitCode: -1 }));
});

test('rule_02_exit_ends_an_asynchronous_call_and_what_else_is_pending', async () => {
  const { reactor } = await guest();
  const waits = reactor.callAsync('wait', 0);
  const exits = reactor.callAsync('exit_with', 4);
  // Whoever is polled first hears that it ended, the other that it has.
  const [first, second] = await Promise.all([waits.catch((error) => error), exits.catch((error) => error)]);
  assert.deepEqual([first.kind, second.kind].sort(), ['Ended', 'Exited']);
  assert.deepEqual([first.exitCode, second.exitCode], [4, 4]);
});

test('rule_02_a_poll_of_the_background_is_refused_before_initialize_and_after_exit', async () => {
  const { reactor } = await make({});
  assert.throws(() => reactor.pollBackground(), like('NotInitialised'));
  reactor.initialize();
  assert.equal(reactor.pollBackground(), false);
  assert.throws(() => reactor.call('exit_with', 2), like('Exited'));
  assert.throws(() => reactor.pollBackground(), like('Ended', { exitCode: 2 }));
});

test('rule_02_exit_in_a_nested_call_ends_the_outer_one_where_it_next_waits', async () => {
  const rig = await guest({
    onCall: (reactor, what, rig) => {
      rig.notes.push(caught(() => reactor.call('exit_with', what)).kind);
      return what;
    },
  });
  assert.throws(() => rig.call('call_around_yield', 6), like('Exited', { exitCode: 6 }));
  assert.deepEqual([rig.calls, rig.notes], [[6], ['Exited']]);
  assert.throws(() => rig.call('ping'), like('Ended', { exitCode: 6 }));
});

test('rule_02_no_task_runs_after_exit', async () => {
  const raw = await Raw.ready({ mode: 2 });
  assert.equal(raw.call('turns'), 0);
  // The yielder has its turn before `exit_with`, and none after it.
  assert.equal(raw.fails('exit_with', 1), 9);
  assert.equal(raw.poll(0), 2);
  assert.equal(raw.report(), '  task 0.2 "exit_with": in exit\n  task 1 "yielder": ready');
  assert.deepEqual(raw.entered(), []);
});

test('rule_02_nested_calls_while_init_runs_are_allowed', async () => {
  const rig = await guest({ mode: 5, onCall: (reactor) => reactor.call('ping') });
  assert.deepEqual(rig.trace(), ['init', 'init was called back', 'init done']);
  assert.deepEqual(rig.calls, [50]);
  assert.equal(rig.call('inits'), 1);
});

test('rule_02_asynchronous_calls_may_start_while_init_runs', async () => {
  const raw = await Raw.ready({
    mode: 5,
    onCall: (raw) => {
      const id = raw.start('ping');
      assert.equal(raw.poll(id), 1);
      return raw.call('windlass.result.ping', id);
    },
  });
  assert.equal(raw.call('ping'), 7);
  const { reactor } = await guest();
  assert.equal(await reactor.callAsync('ping'), 7);
});

// ---- rules 3 to 5

test('rule_03_a_call_is_queued_at_the_tail', async () => {
  const rig = await guest({ mode: 2 });
  // The yielder is ahead of each call and gets its turn first: it begins in the first call, and goes round once in each later one.
  for (let turns = 0; turns < 5; turns += 1) assert.equal(rig.call('turns'), turns);
});

test('rule_03_the_other_tasks_run_while_the_call_does', async () => {
  const rig = await guest({ mode: 2 });
  assert.equal(rig.call('turns'), 0);
  // One turn before the call begins, and one for each time that it yields.
  rig.call('yield_times', 1_000);
  assert.equal(rig.call('turns'), 1_002);
});

test('rule_03_the_call_returns_at_once_and_every_other_task_stays_where_it_is', async () => {
  const rig = await guest();
  rig.call('signal_later', 0, 1, 0);
  assert.equal(rig.reactor.report(), '  task 1: ready');
  // Neither the time nor a look at the guest moves it.
  rig.clock.advance(ms(1_000));
  await turn();
  assert.equal(rig.reactor.report(), '  task 1: ready');
  assert.equal(rig.call('ping'), 7);
  assert.equal(rig.reactor.report(), '  no task');
});

test('rule_03_a_poll_resumes_the_others_too', async () => {
  const rig = await guest();
  rig.call('signal_later', 0, 1, 3);
  assert.equal(rig.reactor.pollBackground(), false);
  assert.equal(rig.reactor.report(), '  task 1: sleeping');
  rig.clock.advance(ms(3));
  assert.equal(rig.reactor.pollBackground(), false);
  assert.equal(rig.reactor.report(), '  no task');
  assert.equal(rig.call('wait', 0), 1);
});

test('rule_04_a_nested_call_returns_to_its_own_caller', async () => {
  const rig = await guest({ onCall: (reactor, what) => reactor.call('add', what, 5) });
  assert.equal(rig.call('nested', 3), 9);
  assert.deepEqual(rig.calls, [3]);
});

test('rule_04_calls_may_finish_in_any_order', async () => {
  const rig = await guest({
    onCall: (reactor, _, rig) => {
      const inner = reactor.call('inner');
      rig.notes.push(`inner returned ${inner}`);
      return inner;
    },
  });
  rig.trace();
  assert.equal(rig.call('outer'), 10);
  assert.deepEqual(rig.trace(), [
    'outer: waits',
    'caller: calls the host',
    'inner: signals',
    'outer: goes on',
    'outer: ends',
    'inner: ends',
    'caller: host returned',
  ]);
  assert.deepEqual(rig.calls, [4]);
  assert.deepEqual(rig.notes, ['inner returned 11']);
  assert.equal(rig.reactor.report(), '  no task');
});

test('rule_04_each_of_many_open_calls_gets_its_own_result', async () => {
  const onCall = (reactor, what) => {
    if (what === 4) return reactor.call('inner');
    if (what === 3) return reactor.call('outer');
    return reactor.call('nested', what + 1);
  };
  const rig = await guest({ onCall });
  // 3 + 1 levels around outer's 10.
  assert.equal(rig.call('nested', 0), 14);
  assert.deepEqual(rig.calls, [0, 1, 2, 3, 4]);
});

test('rule_04_asynchronous_calls_finish_in_a_nested_call_in_another_order', async () => {
  const raw = await Raw.ready({
    onCall: (raw, last) => {
      raw.call('signal', 1, 21);
      assert.equal(raw.poll(last), 1);
      assert.equal(raw.call('windlass.result.wait', last), 21);
      raw.call('signal', 0, 20);
      return 0;
    },
  });
  const first = raw.start('wait', 0);
  const last = raw.start('wait', 1);
  assert.equal(raw.poll(first), 0);
  assert.equal(raw.call('nested', last), 1);
  assert.equal(raw.poll(first), 1);
  assert.equal(raw.call('windlass.result.wait', first), 20);
});

test('rule_04_a_host_import_is_entered_exactly_once_by_each_call_of_it', async () => {
  for (const mode of [0, 2]) {
    const raw = await Raw.ready({ mode, onCall: (_, what) => what });
    // The caller is suspended and continued after each of its two calls, and its frames are wound again.
    assert.equal(raw.call('call_around_yield', 21), 42);
    assert.deepEqual(raw.entered(), ['call 21', 'call 21']);
  }
});

test('rule_04_an_import_is_entered_once_though_others_are_suspended_in_the_nested_call', async () => {
  const rig = await guest({
    mode: 2,
    onCall: (reactor, what) => {
      reactor.call('yield_times', 200);
      return what;
    },
  });
  assert.equal(rig.call('call_around_yield', 5), 10);
  assert.deepEqual(rig.calls, [5, 5]);
});

const upTo = (count) => Array.from({ length: count }, (_, index) => index + 1);

test('rule_05_a_nested_loop_does_not_run_on_the_callers_stack', async () => {
  // 60 levels, half of them from tasks with stacks of 1,200 bytes: far less than a host loop needs.
  const onCall = (reactor, what) => {
    if (what === 60) return reactor.call('deep_yield', 20);
    return what % 2 === 0 ? reactor.call('nested', what + 1) : reactor.call('nested_on', 1_200, what + 1);
  };
  const rig = await guest({ onCall });
  // 20 of `deep_yield`, and 1 for each of the 30 `nested`, of which the outermost is the first call.
  assert.equal(rig.call('nested', 1), 20 + 30);
  assert.deepEqual(rig.calls, upTo(60));
  assert.equal(rig.reactor.report(), '  no task');
  // And the shadow stack is where it was.
  assert.equal(rig.call('deep_yield', 50), 50);
});

test('rule_05_sixty_four_calls_nest_and_the_next_is_a_named_error', async () => {
  const onCall = (reactor, what, rig) => {
    if (what < 64) return reactor.call('nested', what + 1);
    for (const name of ['ping', 'turns']) rig.notes.push(caught(() => reactor.call(name)).kind);
    return 0;
  };
  const rig = await guest({ onCall });
  assert.equal(rig.call('nested', 1), 64);
  assert.deepEqual(rig.calls, upTo(64));
  assert.deepEqual(rig.notes, ['NestedTooDeep', 'NestedTooDeep']);
  // And once more: what was refused has left nothing behind.
  assert.equal(rig.call('nested', 1), 64);
});

test('rule_05_a_call_that_is_nested_too_deep_does_not_run_later', async () => {
  const refused = failure(10, 'more than 64 calls are nested in each other');
  const raw = await Raw.ready({
    onCall: (raw, what) => {
      if (what < 64) return raw.call('nested', what + 1);
      assert.deepEqual(raw.call('signal', 0, 5), refused);
      raw.start('ping');
      assert.equal(raw.poll(0), 2);
      assert.deepEqual(raw.door(), refused);
      return 0;
    },
  });
  assert.equal(raw.call('nested', 1), 64);
  // The started `ping` is there, the refused `signal` is not.
  assert.doesNotMatch(raw.report(), /signal/);
  assert.equal(raw.poll(0), 0);
  const waits = raw.start('wait', 0);
  assert.equal(raw.poll(waits), 0, 'the refused `signal` ran');
});

test('rule_05_a_named_failure_of_a_nested_call_leaves_the_caller_alone', async () => {
  const rig = await guest({
    onCall: (reactor, what, rig) => {
      const error = caught(() => reactor.call('block'));
      like('Deadlock')(error);
      rig.notes.push(error.report);
      return reactor.call('deep_yield', what);
    },
  });
  assert.equal(rig.call('nested', 30), 31);
  assert.deepEqual(rig.notes, ['  task 0.1 "nested": in a host call\n  task 1 "block": parked']);
  assert.equal(rig.call('deep_yield', 50), 50);
  const report = '  task 0.3 "block": parked\n  task 1 "block": parked';
  assert.throws(() => rig.call('block'), like('Deadlock', { report }));
});

// ---- rules 6 to 8

test('rule_06_a_deadlock_lists_every_blocked_task_its_name_and_what_it_waits_for', async () => {
  const rig = await guest();
  const error = caught(() => rig.call('block_on_everything'));
  const report = [
    '  task 0.1 "block_on_everything": joining task 7',
    '  task 1 "sender": sending to a channel',
    '  task 2 "receiver": receiving from a channel',
    '  task 3 "locker": locking a mutex',
    '  task 4 "waiter": waiting for a condition variable',
    '  task 5 "counter": waiting for a wait group',
    '  task 6: parked',
    '  task 7 "parked": parked',
  ].join('\n');
  like('Deadlock', { code: 5, report, poisons: false })(error);
});

test('rule_06_a_deadlock_in_a_nested_call_lists_the_tasks_in_host_calls', async () => {
  const rig = await guest({
    onCall: (reactor, what, rig) => {
      rig.notes.push(caught(() => reactor.call('wait', what)).report);
      return what;
    },
  });
  assert.equal(rig.call('nested_on', 2_048, 1), 1);
  assert.deepEqual(rig.notes, [
    '  task 0.1 "nested_on": joining task 1\n  task 1 "small": in a host call\n  task 2 "wait": receiving from a channel',
  ]);
});

test('rule_06_after_a_deadlock_the_next_call_works', async () => {
  const rig = await guest();
  for (let round = 1; round < 4; round += 1) {
    assert.equal(caught(() => rig.call('block')).report.split('\n').length, round);
    assert.equal(rig.call('ping'), 7);
    // Its task stays, blocked and detached; the other is that of `stats`.
    assert.equal(rig.call('stats', 0), BigInt(round + 1));
  }
});

test('rule_06_a_run_that_was_refused_inside_a_task_leaves_the_next_error_as_it_is', async () => {
  const rig = await guest();
  const report = '  task 0.1 "run_inside_then_block": parked';
  like('Deadlock', { code: 5, report })(caught(() => rig.call('run_inside_then_block')));
  assert.equal(rig.call('ping'), 7);
});

test('rule_06_a_late_result_is_dropped', async () => {
  const rig = await guest();
  rig.trace();
  const round = () => {
    assert.throws(() => rig.call('wait_bytes', 0, new Uint8Array(50_000).fill(1)), like('Deadlock'));
    const held = rig.call('allocated');
    rig.call('signal', 0, 3);
    assert.deepEqual(rig.trace(), ['wait: begins', 'wait: ends']);
    return { held, free: rig.call('allocated'), tasks: rig.call('stats', 0) };
  };
  const first = round();
  assert.ok(first.held >= first.free + 50_000n, `${first.held} ${first.free}`);
  // The bytes are gone with the task.
  assert.deepEqual(round(), { ...first, tasks: 1n });
});

test('rule_06_the_arguments_of_a_failed_call_live_on_with_its_task', async () => {
  const rig = await guest();
  assert.throws(() => rig.call('wait', 1), like('Deadlock'));
  // Whatever the failed call had on the host's stack is overwritten now.
  assert.equal(rig.call('deep_yield', 60), 60);
  rig.call('signal', 0, 1);
  assert.throws(() => rig.call('wait', 2), like('Deadlock'));
  // It still waits for signal 1, and for no other.
  rig.call('signal', 1, 2);
  assert.equal(rig.call('ping'), 7);
  assert.equal(rig.reactor.report(), '  task 1.2 "wait": receiving from a channel');
});

test('rule_06_no_deadlock_while_another_task_may_go_on', async () => {
  const rig = await guest({ mayBlock: true });
  rig.call('signal_later', 0, 9, 20);
  assert.equal(rig.call('wait', 0), 9);
  assert.deepEqual(rig.clock.slept, [ms(20)]);
  // And with the last sleeper gone it is one again.
  assert.throws(() => rig.call('wait', 0), like('Deadlock'));
});

test('rule_07_a_synchronous_call_that_would_have_to_wait_is_another_error_and_the_next_call_works', async () => {
  const rig = await guest();
  const report = '  task 0.1 "sleep_ms": sleeping';
  assert.throws(() => rig.call('sleep_ms', 5), like('WouldWait', { code: 6, report, poisons: false }));
  assert.deepEqual(rig.clock.slept, []);
  assert.equal(rig.call('ping'), 7);
  // The sleeper wakes in its time, and its late result is dropped.
  rig.clock.advance(ms(5));
  rig.call('yield_times', 1);
  assert.equal(rig.call('stats', 0), 1n);
});

test('rule_07_a_call_that_waits_for_a_sleeper_would_have_to_wait', async () => {
  const rig = await guest();
  rig.call('signal_later', 2, 1, 5);
  const report = '  task 0.2 "wait": receiving from a channel\n  task 1: sleeping';
  assert.throws(() => rig.call('wait', 2), like('WouldWait', { report }));
});

test('rule_07_the_host_is_asked_whether_it_may_wait_once_and_nothing_else', async () => {
  const raw = await Raw.ready();
  assert.deepEqual(raw.call('sleep_ms', 5n), failure(6, '  task 0.1 "sleep_ms": sleeping'));
  // The time: for the deadline, and to see whether it has come.
  assert.deepEqual(raw.entered(), ['now', 'now', 'wait 5000000']);
});

test('rule_08_a_call_sleeps_where_the_engine_may_block', async () => {
  const rig = await guest({ mayBlock: true });
  assert.equal(rig.call('sleep_ms', 5), 0);
  assert.deepEqual(rig.clock.slept, [ms(5)]);
  assert.equal(rig.call('sleep_ms', 3_600_000), 0);
  assert.deepEqual(rig.clock.slept, [ms(5), ms(3_600_005)]);
  // No time to sleep is no sleep.
  assert.equal(rig.call('sleep_ms', 0), 0);
  assert.equal(rig.clock.slept.length, 2);
});

test('rule_08_background_tasks_have_their_time_while_a_call_sleeps', async () => {
  const rig = await guest({ mode: 1, mayBlock: true });
  assert.equal(rig.call('sleep_ms', 5), 0);
  // The host waits for the earliest each time, and the call ends before the sleeper's fifth turn, which has the same deadline.
  assert.deepEqual(rig.clock.slept, [1, 2, 3, 4, 5].map(ms));
  assert.equal(rig.reactor.report(), '  task 1 "sleeper": ready');
  assert.equal(rig.call('turns'), 5);
});

test('rule_08_a_host_that_wakes_early_is_asked_again', async () => {
  const raw = await Raw.ready({ mayBlock: true });
  // `wait` returns when it likes; the time decides.
  raw.early = 2;
  assert.equal(raw.call('sleep_ms', 2n), 0);
  const wait = 'wait 2000000';
  assert.deepEqual(raw.entered(), ['now', 'now', wait, 'now', wait, 'now', wait, 'now']);
  assert.equal(raw.now, 2 * MS);
});

test('rule_08_time_is_monotonic_across_calls', async () => {
  const raw = await Raw.ready({ mayBlock: true });
  raw.tick = 1_000;
  for (let count = 0; count < 50; count += 1) {
    const before = raw.now;
    assert.equal(raw.call('sleep_ms', 1n), 0);
    assert.ok(raw.now >= before + MS);
  }
});

// ---- rule 7: asynchronous calls

const NO_SUCH_CALL = failure(12, 'no such asynchronous call, or it is not done');

test('rule_07_any_export_can_be_called_asynchronously', async () => {
  const rig = await guest();
  const sleeps = rig.reactor.callAsync('sleep_ms', 5);
  // Starting runs nothing.
  assert.equal(rig.reactor.report(), '  task 0.1 "sleep_ms": ready');
  assert.ok(await isPending(sleeps));
  assert.deepEqual(rig.clock.timers, [ms(5)]);
  rig.clock.advance(ms(5));
  assert.equal(await sleeps, 0);
  assert.equal(rig.reactor.report(), '  no task');
  assert.equal(await rig.reactor.callAsync('greet', 'you'), 'hello, you!');
  assert.equal(await rig.reactor.callAsync('yield_times', 3), undefined);
});

test('rule_07_many_calls_are_in_flight_together_and_finish_out_of_order', async () => {
  const raw = await Raw.ready();
  const ids = [0, 1, 2].map((which) => raw.start('wait', which));
  assert.equal(new Set(ids).size, 3);
  for (const id of ids) assert.equal(raw.poll(id), 0);
  const over = new Set();
  for (const which of [2, 0, 1]) {
    assert.equal(raw.call('signal', which, 100 + which), undefined);
    const polled = ids.map((id) => raw.poll(id));
    assert.deepEqual(
      polled,
      [0, 1, 2].map((other) => (other === which ? 1 : over.has(other) ? 2 : 0)),
    );
    assert.equal(raw.call('windlass.result.wait', ids[which]), 100 + which);
    // Its id is dead, and stays it.
    assert.equal(raw.poll(ids[which]), 2);
    assert.deepEqual(raw.door(), NO_SUCH_CALL);
    over.add(which);
  }
});

test('rule_07_a_pending_call_with_nothing_runnable_is_woken_by_another_call', async () => {
  const { reactor } = await guest();
  const waits = reactor.callAsync('wait', 1);
  for (let count = 0; count < 3; count += 1) assert.ok(await isPending(waits));
  // Another synchronous call is not disturbed by it, deadlocked or not.
  assert.equal(reactor.call('ping'), 7);
  assert.throws(() => reactor.call('block'), like('Deadlock'));
  assert.ok(await isPending(waits));
  reactor.call('signal', 1, 42);
  assert.equal(await waits, 42);
});

test('rule_07_closing_the_instance_rejects_a_pending_call_with_the_report', async () => {
  const { reactor } = await guest();
  const waits = reactor.callAsync('wait', 0);
  const blocks = reactor.callAsync('block');
  assert.ok(await isPending(waits));
  assert.ok(await isPending(blocks));
  const report = '  task 0.1 "wait": receiving from a channel\n  task 1 "block": parked';
  assert.equal(reactor.close(), report);
  await assert.rejects(waits, like('Closed', { report }));
  await assert.rejects(blocks, like('Closed', { report }));
  assert.throws(() => reactor.call('ping'), like('Closed', { report }));
});

test('rule_07_promises_settle_when_their_own_task_finishes', async () => {
  const { reactor, clock } = await guest();
  const slow = reactor.callAsync('sleep_ms', 9);
  const fast = reactor.callAsync('sleep_ms', 4);
  const waits = reactor.callAsync('wait', 0);
  for (const promise of [slow, fast, waits]) assert.ok(await isPending(promise));
  assert.deepEqual(clock.timers, [ms(4)]);
  clock.advance(ms(4));
  assert.ok(await isPending(slow));
  assert.equal(await fast, 0);
  assert.deepEqual(clock.timers, [ms(9)]);
  reactor.call('signal', 0, 3);
  assert.equal(await waits, 3);
  clock.advance(ms(5));
  assert.equal(await slow, 0);
  assert.deepEqual(clock.timers, []);
});

test('rule_07_result_poll_and_cancel_after_the_end_are_named_errors', async () => {
  const raw = await Raw.ready();
  const id = raw.start('ping');
  // Too early; the call goes on.
  assert.deepEqual(raw.call('windlass.result.ping', id), NO_SUCH_CALL);
  assert.equal(raw.poll(id), 1);
  // Done is done, however often one asks.
  assert.equal(raw.poll(id), 1);
  // Another export's result function takes it for no call of its own.
  assert.deepEqual(raw.call('windlass.result.turns', id), NO_SUCH_CALL);
  assert.equal(raw.call('windlass.result.ping', id), 7);
  for (const other of [id, 0, -1, 99]) {
    assert.deepEqual(raw.call('windlass.result.ping', other), NO_SUCH_CALL);
    assert.equal(raw.call('windlass_cancel', other), 0);
    if (other === 0) continue;
    assert.equal(raw.poll(other), 2);
    assert.deepEqual(raw.door(), NO_SUCH_CALL);
  }
  assert.equal(raw.call('ping'), 7);

  const { reactor } = await guest();
  const promise = reactor.callAsync('ping');
  assert.equal(await promise, 7);
  assert.equal(reactor.cancel(promise), false);
});

test('rule_07_a_cancelled_call_is_told_so_and_its_result_forgotten', async () => {
  const { reactor, call, trace } = await guest();
  trace();
  const promises = [reactor.callAsync('block'), reactor.callAsync('wait', 0), reactor.callAsync('sleep_ms', 5)];
  for (const promise of promises) assert.ok(await isPending(promise));
  for (const promise of promises) {
    assert.equal(reactor.cancel(promise), true);
    await assert.rejects(promise, like('Cancelled'));
  }
  assert.deepEqual(trace(), ['block: waits', 'wait: begins', 'block: goes on', 'wait: ends']);
  assert.equal(reactor.report(), '  no task');
  // The signal is for the next who waits.
  call('signal', 0, 8);
  assert.equal(call('wait', 0), 8);
});

test('rule_07_a_call_cancelled_before_it_began_finds_its_first_wait_cancelled', async () => {
  const raw = await Raw.ready();
  const id = raw.start('block');
  assert.equal(raw.call('windlass_cancel', id), 1);
  assert.equal(raw.call('windlass_cancel', id), 0);
  assert.equal(raw.poll(0), 0);
  assert.equal(raw.report(), '  no task');
});

test('rule_07_a_finished_calls_result_is_dropped_by_cancelling_it', async () => {
  const raw = await Raw.ready();
  const round = () => {
    const pointer = raw.call('windlass_alloc', 30_000);
    const id = raw.start('reverse', (30_000n << 32n) | BigInt(pointer));
    assert.equal(raw.poll(id), 1);
    assert.equal(raw.call('windlass_cancel', id), 1);
    return raw.call('allocated');
  };
  assert.equal(round(), round());
});

test('rule_07_ids_are_not_given_again_while_in_use', async () => {
  const raw = await Raw.ready();
  const kept = raw.start('wait', 0);
  let last = kept;
  for (let count = 0; count < 100; count += 1) {
    const id = raw.start('ping');
    assert.ok(id !== kept && id !== last);
    last = id;
    assert.equal(raw.poll(id), 1);
    assert.equal(raw.call('windlass.result.ping', id), 7);
  }
});

test('rule_07_a_panic_in_a_polled_call_poisons_and_names_the_task', async () => {
  const { reactor } = await guest();
  const report = /^task 0\.1 "panic": panicked at tests\/guest\/src\/lib.rs:\d+:\d+:\non purpose$/;
  await assert.rejects(reactor.callAsync('panic'), like('Panicked', { report }));
  // The call that was open is the poll of the background that the driver began with; the report names the task.
  assert.throws(() => reactor.call('ping'), like('Poisoned', { by: 'windlass_poll', report }));
});

test('rule_07_the_limit_of_tasks_is_a_named_error_of_call_and_start', async () => {
  const raw = await Raw.ready();
  raw.call('windlass_max_tasks', 2);
  const waits = raw.start('wait', 0);
  assert.equal(raw.call('ping'), 7);
  const second = raw.start('wait', 1);
  const refused = failure(11, "cannot spawn the call's task: the limit on the number of tasks is reached");
  assert.deepEqual(raw.call('ping'), refused);
  assert.equal(raw.call('windlass.start.ping'), 0);
  assert.deepEqual(raw.door(), refused);
  // Those that are there go on.
  assert.equal(raw.poll(waits), 0);
  assert.equal(raw.call('windlass_cancel', second), 1);
  assert.equal(raw.poll(0), 0);
  assert.equal(raw.call('ping'), 7);
  raw.call('windlass_max_tasks', 0);
  raw.start('wait', 1);
  assert.equal(raw.call('ping'), 7);
});

// ---- rule 9

const poisonedBy = (name) => failure(4, `poisoned: a trap ended the call \`${name}\` half-way; make a new instance`);

/** Every way into the guest is refused, again and again, and the report names the call. */
function refusesEverything(raw, by, done) {
  raw.entered();
  for (let count = 0; count < 2; count += 1) {
    assert.deepEqual(raw.call('ping'), poisonedBy(by));
    assert.deepEqual(raw.call('_initialize'), poisonedBy(by));
    assert.equal(raw.call('windlass.start.ping'), 0);
    assert.deepEqual(raw.door(), poisonedBy(by));
    for (const id of [0, done, 77]) {
      assert.equal(raw.poll(id), 2);
      assert.deepEqual(raw.door(), poisonedBy(by));
    }
  }
  assert.deepEqual(raw.entered(), []);
}

/** An initialised guest and the id of a call that is done. */
async function withDone(options) {
  const raw = await Raw.ready(options);
  const done = raw.start('ping');
  assert.equal(raw.poll(done), 1);
  return { raw, done };
}

const TRAP = failure(0, '');

test('rule_09_after_a_trap_the_host_refuses_and_names_the_call', async () => {
  const { reactor } = await guest();
  assert.throws(() => reactor.call('trap'), like('Trap', { call: 'trap', poisons: true }));
  for (let count = 0; count < 2; count += 1) {
    assert.throws(() => reactor.call('ping'), like('Poisoned', { by: 'trap' }));
    await assert.rejects(reactor.callAsync('ping'), like('Poisoned', { by: 'trap' }));
    assert.throws(() => reactor.pollBackground(), like('Poisoned', { by: 'trap' }));
    assert.throws(() => reactor.initialize(), like('Poisoned', { by: 'trap' }));
  }
});

test('rule_09_after_a_trap_the_guest_refuses_whatever_the_host_forgot', async () => {
  const { raw, done } = await withDone();
  assert.deepEqual(raw.call('trap'), TRAP);
  refusesEverything(raw, 'trap', done);
  // The same behind the driver's back.
  const { reactor } = await guest();
  assert.throws(() => reactor.call('trap'), like('Trap'));
  assert.throws(() => reactor.exports.ping(), WebAssembly.RuntimeError);
  assert.equal(reactor.exports.windlass_error_code(), 4);
});

test('rule_09_an_asynchronous_call_that_traps_poisons_too', async () => {
  const { raw, done } = await withDone();
  const traps = raw.start('trap');
  assert.deepEqual(raw.poll(traps), TRAP);
  refusesEverything(raw, 'trap', done);
});

test('rule_09_a_panic_names_task_and_message_and_poisons', async () => {
  const { reactor } = await guest();
  const error = caught(() => reactor.call('panic'));
  like('Panicked', { report: /^task 0\.1 "panic": panicked at tests\/guest\/src\/lib.rs:\d+:\d+:\non purpose$/ })(error);
  assert.throws(() => reactor.call('ping'), like('Poisoned', { by: 'panic', report: error.report }));

  const { raw, done } = await withDone();
  assert.equal(raw.fails('panic'), 8);
  refusesEverything(raw, 'panic', done);
});

test('rule_09_a_stack_overflow_names_the_task_and_poisons', async () => {
  const report =
    'task 0.1 "overflow": stack overflow: its stack of 16384 bytes is full; spawn it with a larger `Builder::stack_size`, or set one for all with `runtime::set_stack_size` in init';
  const { reactor } = await guest();
  assert.throws(() => reactor.call('overflow', 1_000_000), like('StackOverflow', { report }));
  assert.throws(() => reactor.call('ping'), like('Poisoned', { by: 'overflow' }));

  const { raw, done } = await withDone();
  // `ping`'s finished call holds slot 0.
  assert.deepEqual(raw.call('overflow', 1_000_000), failure(13, report.replace('0.1', '1')));
  refusesEverything(raw, 'overflow', done);
});

test('rule_09_frames_that_do_not_fit_when_unwound_are_an_overflow_too', async () => {
  // Somewhere on the way the task still runs, but its unwound frames and its shadow stack no longer fit together.
  for (let depth = 100; ; depth += 10) {
    assert.ok(depth < 1_000, '16 KiB hold so much?');
    const { reactor } = await guest();
    let reached;
    try {
      reached = reactor.call('deep_yield', depth);
    } catch (error) {
      like('StackOverflow', { report: /^task 0\.1 "deep_yield": stack overflow/ })(error);
      break;
    }
    assert.equal(reached, depth);
  }
});

test('rule_09_a_host_error_thrown_through_the_guest_poisons_by_our_host', async () => {
  const onCall = (_, what) => (what === 1 ? thrower() : what);
  const { reactor } = await guest({ onCall });
  assert.equal(reactor.call('nested', 5), 6);
  const error = caught(() => reactor.call('nested', 1));
  like('Import', { call: 'nested', import: 'test.call', cause: THROWN })(error);
  assert.throws(() => reactor.call('ping'), like('Poisoned', { by: 'nested' }));
  // The driver has called `windlass_poison`: the guest refuses, too.
  assert.throws(() => reactor.exports.ping(), WebAssembly.RuntimeError);
  assert.equal(reactor.exports.windlass_error_code(), 4);
});

test('rule_09_a_host_error_thrown_out_of_a_nested_call_poisons_the_outer_one', async () => {
  const rig = await guest({
    onCall: (reactor, what, rig) => {
      if (what === 2) throw THROWN;
      rig.notes.push(caught(() => reactor.call('nested', 2)).kind, caught(() => reactor.call('ping')).kind);
      return 0;
    },
  });
  assert.throws(() => rig.call('nested', 1), like('Trap', { call: 'nested' }));
  assert.deepEqual(rig.notes, ['Import', 'Poisoned']);
  assert.throws(() => rig.call('ping'), like('Poisoned', { by: 'nested' }));
});

test('rule_09_a_host_error_thrown_through_the_guest_looks_like_nesting_until_the_host_says_so', async () => {
  const { raw, done } = await withDone({ onCall: thrower });
  assert.deepEqual(raw.call('nested', 1), TRAP);
  // The documented limit: the mark is set, as in the import itself.
  assert.equal(raw.call('ping'), 7);
  raw.call('windlass_poison');
  refusesEverything(raw, 'nested', done);
});

test('rule_09_poison_out_of_an_import_refuses_later_calls', async () => {
  const { raw, done } = await withDone({
    onCall: (raw) => {
      raw.call('windlass_poison');
      throw THROWN;
    },
  });
  assert.deepEqual(raw.call('nested', 1), TRAP);
  refusesEverything(raw, 'nested', done);
});

test('rule_09_an_import_that_returns_with_an_inner_call_still_open_traps', async () => {
  const { raw, done } = await withDone({
    onCall: (raw, what) => {
      assert.deepEqual(raw.call('trap'), TRAP);
      // It goes on as if nothing had happened.
      return what;
    },
  });
  assert.deepEqual(raw.call('nested', 1), TRAP);
  refusesEverything(raw, 'trap', done);

  const rig = await guest({
    onCall: (reactor, what, rig) => {
      rig.notes.push(caught(() => reactor.call('trap')).kind);
      return what;
    },
  });
  assert.throws(() => rig.call('nested', 1), like('Trap', { call: 'nested' }));
  assert.deepEqual(rig.notes, ['Trap']);
  assert.throws(() => rig.call('ping'), like('Poisoned', { by: 'trap' }));
});

test('rule_09_within_an_import_calls_after_a_trap_are_refused', async () => {
  const { raw, done } = await withDone({
    onCall: (raw, what) => {
      assert.deepEqual(raw.call('trap'), TRAP);
      assert.deepEqual(raw.call('ping'), poisonedBy('trap'));
      return what;
    },
  });
  assert.equal(raw.fails('nested', 1), 0);
  refusesEverything(raw, 'trap', done);
});

test('rule_09_cancelling_a_call_after_a_trap_is_refused', async () => {
  const raw = await Raw.ready();
  const pending = raw.start('wait', 0);
  assert.equal(raw.poll(pending), 0);
  const done = raw.start('ping');
  assert.equal(raw.poll(done), 1);
  assert.deepEqual(raw.call('trap'), TRAP);
  // It would wake the one and run the destructor of the other's result.
  assert.notEqual(raw.call('windlass_cancel', pending), 1);
  assert.notEqual(raw.call('windlass_cancel', done), 1);
});

test('rule_09_the_error_door_and_the_report_can_be_read_after_a_trap', async () => {
  const raw = await Raw.ready();
  const waits = raw.start('wait', 0);
  assert.equal(raw.poll(waits), 0);
  assert.deepEqual(raw.call('trap'), TRAP);
  assert.equal(raw.call('windlass_report'), 2);
  assert.deepEqual(
    raw.door(),
    failure(0, '  task 0.1 "wait": receiving from a channel\n  task 1 "trap": running'),
  );
  assert.equal(raw.call('windlass_exit_code'), 0);
  assert.equal(raw.call('windlass_abi_version'), 1);
});

test('rule_09_a_named_error_leaves_no_mark', async () => {
  const raw = await Raw.ready();
  const fails = (code, times, ...call) => {
    for (let count = 0; count < times; count += 1) {
      assert.equal(raw.fails(...call), code);
      assert.equal(raw.call('ping'), 7);
    }
  };
  // Often enough to use up the host's shadow stack of 1 MiB, if each left 50 bytes there.
  fails(2, 20_000, '_initialize');
  fails(12, 20_000, 'windlass.result.ping', 5);
  fails(5, 200, 'block');
  fails(6, 200, 'sleep_ms', 5n);
});

test('rule_09_refusals_after_a_trap_leave_nothing_on_the_stack', async () => {
  const { raw, done } = await withDone();
  assert.deepEqual(raw.call('trap'), TRAP);
  for (let count = 0; count < 50_000; count += 1) assert.equal(raw.fails('ping'), 4, `after ${count} refusals`);
  refusesEverything(raw, 'trap', done);
});

test('rule_09_the_result_of_an_earlier_call_is_refused_after_a_trap_and_after_poison', async () => {
  const trapped = await withDone();
  assert.deepEqual(trapped.raw.call('trap'), TRAP);
  assert.deepEqual(trapped.raw.call('windlass.result.ping', trapped.done), poisonedBy('trap'));
  const { raw, done } = await withDone({ onCall: thrower });
  assert.deepEqual(raw.call('nested', 1), TRAP);
  raw.call('windlass_poison');
  assert.deepEqual(raw.call('windlass.result.ping', done), poisonedBy('nested'));
});

// ---- rule 10

/** What the guest holds: allocations so far, bytes, tasks, stacks in use, stacks pooled. */
function held({ call }) {
  const [tasks, inUse, pooled] = [0, 1, 2].map((which) => Number(call('stats', which)));
  return { allocations: Number(call('allocations')), bytes: Number(call('allocated')), tasks, inUse, pooled };
}

test('rule_10_a_call_allocates_nothing_and_uses_the_stack_of_the_last_again', async () => {
  const rig = await guest();
  assert.equal(rig.call('ping'), 7);
  const before = held(rig);
  // The task of `stats` itself, on the one stack there is.
  assert.deepEqual([before.tasks, before.inUse, before.pooled], [1, 1, 0]);
  for (let count = 0; count < 1_000; count += 1) assert.equal(rig.call('ping'), 7);
  assert.deepEqual(held(rig), before);
});

test('rule_10_a_call_continues_its_own_task_once_and_no_other', async () => {
  const rig = await guest();
  const before = rig.call('stats', 3);
  for (let count = 0; count < 1_000; count += 1) assert.equal(rig.call('ping'), 7);
  assert.equal(rig.call('stats', 3) - before, 1_001n);
});

test('rule_10_a_call_enters_no_host_import', async () => {
  const raw = await Raw.ready();
  for (let count = 0; count < 100; count += 1) assert.equal(raw.call('ping'), 7);
  assert.deepEqual(raw.entered(), []);
});

test('rule_10_nested_calls_reuse_their_stacks_too', async () => {
  const rig = await guest({ onCall: (reactor, what) => (what > 0 ? reactor.call('nested', what - 1) : 0) });
  assert.equal(rig.call('nested', 9), 10);
  const before = held(rig);
  assert.deepEqual([before.tasks, before.inUse, before.pooled], [1, 1, 9]);
  for (let count = 0; count < 100; count += 1) assert.equal(rig.call('nested', 9), 10);
  assert.deepEqual(held(rig), before);
});

test('rule_10_asynchronous_calls_leave_nothing_behind', async () => {
  const raw = await Raw.ready();
  const round = () => {
    for (let count = 0; count < 100; count += 1) {
      const id = raw.start('yield_times', 3);
      assert.equal(raw.poll(id), 1);
      assert.equal(raw.call('windlass.result.yield_times', id), undefined);
    }
    return [raw.call('allocated'), ...[0, 1, 2].map((which) => raw.call('stats', which))];
  };
  assert.deepEqual(round(), round());
});

test('rule_10_ten_thousand_tasks_come_and_go_and_leak_nothing', async () => {
  const rig = await guest();
  const round = () => {
    assert.equal(rig.call('many', 10_000), 10_000);
    const { bytes, tasks, inUse, pooled } = held(rig);
    return { bytes, tasks, inUse, pooled };
  };
  const first = round();
  assert.deepEqual([first.tasks, first.inUse, first.pooled], [1, 1, 10_000]);
  for (let count = 0; count < 3; count += 1) assert.deepEqual(round(), first);
});

// ---- rule 11

const WOULD_BLOCK = failure(14, 'the call would block, and the scheduler is off');

test('rule_11_the_module_needs_no_lowering_and_has_neither_tasks_nor_asynchronous_calls', async () => {
  const module = await compiled(DIRECT);
  const imports = WebAssembly.Module.imports(module).map((entry) => entry.module);
  assert.deepEqual([...new Set(imports)].sort(), ['test', 'windlass_host']);
  const names = WebAssembly.Module.exports(module).map((entry) => entry.name);
  const missing = ['spawn', 'windlass.', 'windlass_poll', 'windlass_cancel', 'windlass_background', 'many', 'wait'];
  for (const start of missing) assert.equal(names.find((name) => name.startsWith(start)), undefined);
  const { reactor } = await direct();
  await assert.rejects(reactor.callAsync('ping'), like('Unsupported', { export: 'windlass.start.ping' }));
  assert.throws(() => reactor.pollBackground(), like('Unsupported', { export: 'windlass_poll' }));
});

test('rule_11_exports_are_called_directly', async () => {
  const rig = await direct({ onCall: (reactor, what) => reactor.call('add', what, 5) });
  assert.equal(rig.call('constructed'), 1);
  assert.equal(rig.call('inits'), 1);
  assert.equal(rig.call('ping'), 7);
  assert.equal(rig.call('add', 2 ** 31 - 1, 1), -(2 ** 31));
  assert.equal(rig.call('greet', 'you'), 'hello, you!');
  assert.deepEqual(rig.call('reverse', Uint8Array.of(1, 2, 3)), Uint8Array.of(3, 2, 1));
  assert.equal(rig.call('mix', 1, 2, 3n, 4n, 0.5, 0.25), 10.75);
  assert.equal(rig.call('nested', 3), 9);
  assert.deepEqual(rig.calls, [3]);
  assert.equal(rig.initModes, 1);
});

test('rule_11_the_state_is_checked_first', async () => {
  const raw = await Raw.new({ variable: DIRECT });
  assert.deepEqual(raw.call('ping'), NOT_INITIALISED);
  assert.equal(raw.call('_initialize'), undefined);
  assert.equal(raw.call('ping'), 7);
  assert.deepEqual(raw.call('_initialize'), ALREADY_INITIALISED);
  assert.equal(raw.call('constructed'), 1);
  const rig = await make({ variable: DIRECT });
  assert.throws(() => rig.call('ping'), like('NotInitialised'));
  rig.reactor.initialize();
  assert.throws(() => rig.reactor.initialize(), like('AlreadyInitialised'));
  assert.equal(rig.call('ping'), 7);
});

test('rule_11_sleeping_blocks', async () => {
  const rig = await direct({ mayBlock: true });
  assert.equal(rig.call('sleep_ms', 5), 0);
  assert.equal(rig.call('sleep_ms', 2), 0);
  assert.deepEqual(rig.clock.slept, [ms(5), ms(7)]);
});

test('rule_11_what_would_block_is_an_error_and_poisons_the_instance', async () => {
  const raw = await Raw.ready({ variable: DIRECT });
  assert.equal(raw.call('sleep_ms', 0n), 0);
  assert.deepEqual(raw.call('sleep_ms', 5n), WOULD_BLOCK);
  for (let count = 0; count < 2; count += 1) {
    assert.deepEqual(raw.call('ping'), poisonedBy('sleep_ms'));
    assert.deepEqual(raw.call('_initialize'), poisonedBy('sleep_ms'));
  }
  const rig = await direct();
  assert.throws(() => rig.call('sleep_ms', 5), like('WouldBlock', WOULD_BLOCK));
  assert.throws(() => rig.call('ping'), like('Poisoned'));
});

test('rule_11_our_host_knows_that_what_would_block_poisons', async () => {
  const { reactor } = await direct();
  assert.throws(() => reactor.call('sleep_ms', 5), like('WouldBlock', { poisons: true }));
  assert.throws(() => reactor.call('ping'), like('Poisoned', { by: 'sleep_ms' }));
});

test('rule_11_what_would_block_in_a_nested_call_is_told_to_the_import_and_poisons', async () => {
  const rig = await direct({
    onCall: (reactor, what, rig) => {
      rig.notes.push(caught(() => reactor.call('sleep_ms', 5)).kind);
      return what;
    },
  });
  // Nothing stands between the import and its caller here, so that one returns; it is the last.
  assert.equal(rig.call('nested', 1), 2);
  assert.deepEqual(rig.notes, ['WouldBlock']);
  assert.throws(() => rig.call('nested', 1), like('Poisoned'));
  assert.deepEqual(rig.calls, [1]);
});

test('rule_11_refusals_that_leave_the_instance_usable_do_not_use_up_the_stack', async () => {
  // If each left 50 bytes behind, the shadow stack of 1 MiB would be gone before the end.
  const raw = await Raw.new({ variable: DIRECT });
  for (let count = 0; count < 50_000; count += 1) assert.equal(raw.fails('ping'), 1, `after ${count} calls`);
  assert.equal(raw.call('_initialize'), undefined);
  for (let count = 0; count < 50_000; count += 1) assert.equal(raw.fails('_initialize'), 2, `after ${count} calls`);
  assert.equal(raw.call('ping'), 7);
});

test('rule_11_an_init_that_would_block_is_an_error_and_poisons_the_instance', async () => {
  const raw = await Raw.new({ variable: DIRECT, mode: 4 });
  assert.deepEqual(raw.call('_initialize'), WOULD_BLOCK);
  assert.deepEqual(raw.call('ping'), poisonedBy('_initialize'));
  assert.deepEqual(raw.call('_initialize'), poisonedBy('_initialize'));
});

test('rule_11_an_init_may_sleep_where_the_host_may_block', async () => {
  const rig = await direct({ mode: 4, mayBlock: true });
  assert.deepEqual(rig.clock.slept, [ms(5)]);
  assert.equal(rig.call('ping'), 7);
});

test('rule_11_a_trap_poisons_by_the_hosts_memory', async () => {
  let { reactor } = await direct();
  assert.throws(() => reactor.call('trap'), like('Trap', { call: 'trap' }));
  assert.throws(() => reactor.call('ping'), like('Poisoned', { by: 'trap' }));

  ({ reactor } = await direct());
  const report = /^panicked at tests\/guest\/src\/lib.rs:\d+:\d+:\non purpose$/;
  assert.throws(() => reactor.call('panic'), like('Panicked', { report }));
  assert.throws(() => reactor.call('ping'), like('Poisoned', { by: 'panic' }));

  // The limit that docs/abi.md states: the host alone remembers. It can make the guest remember.
  const raw = await Raw.ready({ variable: DIRECT });
  assert.deepEqual(raw.call('trap'), TRAP);
  assert.equal(raw.call('ping'), 7);
  raw.call('windlass_poison');
  assert.deepEqual(raw.call('ping'), poisonedBy('trap'));
});

test('rule_11_a_host_error_thrown_through_the_guest_poisons', async () => {
  const { reactor } = await direct({ onCall: thrower });
  assert.throws(() => reactor.call('nested', 1), like('Import', { cause: THROWN }));
  assert.throws(() => reactor.call('ping'), like('Poisoned', { by: 'nested' }));
});

test('rule_11_there_are_no_deadlines', async () => {
  const { reactor } = await direct({ mayBlock: true });
  const unsupported = like('Unsupported', { export: 'windlass_deadline' });
  assert.throws(() => reactor.callWithDeadline(1, 'sleep_ms', 5), unsupported);
  assert.equal(reactor.call('sleep_ms', 5), 0);
});

// ---- rules 12 and 13

test('rule_12_synchronous_calls_arm_no_timer', async () => {
  const raw = await Raw.ready({ mode: 1 });
  assert.equal(raw.call('turns'), 0);
  assert.equal(raw.fails('sleep_ms', 5n), 6);
  raw.call('signal_later', 0, 1, 2);
  assert.equal(raw.call('ping'), 7);
  assert.equal(raw.poll(0), 0);
  assert.deepEqual(raw.wakes(), []);
});

test('rule_12_the_one_timer_is_for_the_earliest_deadline_while_an_asynchronous_call_is_pending', async () => {
  const raw = await Raw.ready();
  const fires = (at) => {
    raw.now = at * MS;
    assert.equal(raw.poll(0), 0);
  };
  // What was started is runnable: the host is asked for a poll now, then for the sleeper's time.
  const five = raw.start('sleep_ms', 5n);
  assert.deepEqual(raw.wakes(), [0]);
  assert.equal(raw.poll(five), 0);
  assert.deepEqual(raw.wakes(), [5 * MS]);
  // An earlier one replaces it.
  const three = raw.start('sleep_ms', 3n);
  assert.equal(raw.poll(three), 0);
  assert.deepEqual(raw.wakes(), [0, 3 * MS]);
  // A later one does not, in the end.
  const nine = raw.start('sleep_ms', 9n);
  assert.equal(raw.poll(nine), 0);
  assert.deepEqual(raw.wakes(), [0, 3 * MS]);
  // A synchronous call changes nothing.
  assert.equal(raw.call('ping'), 7);
  assert.deepEqual(raw.wakes(), []);
  // It fires: then the next.
  fires(3);
  assert.deepEqual(raw.wakes(), [5 * MS]);
  assert.equal(raw.poll(three), 1);
  assert.equal(raw.call('windlass.result.sleep_ms', three), 0);
  assert.deepEqual(raw.wakes(), []);
  fires(5);
  assert.deepEqual(raw.wakes(), [9 * MS]);
  assert.equal(raw.poll(five), 1);
  assert.deepEqual(raw.wakes(), []);
  fires(9);
  assert.equal(raw.poll(nine), 1);
  assert.deepEqual(raw.wakes(), []);
});

test('rule_12_the_timer_is_taken_back_when_the_last_asynchronous_call_ends', async () => {
  const raw = await Raw.ready({ mode: 1 });
  let waits = raw.start('wait', 0);
  assert.equal(raw.poll(waits), 0);
  assert.deepEqual(raw.wakes(), [0, MS]);
  // Cancelled: it is runnable once more, but nobody waits for it.
  assert.equal(raw.call('windlass_cancel', waits), 1);
  assert.deepEqual(raw.wakes(), [-1]);
  assert.equal(raw.call('ping'), 7);
  assert.deepEqual(raw.wakes(), []);

  // Done without a poll of its own: in a synchronous call.
  waits = raw.start('wait', 1);
  assert.equal(raw.poll(waits), 0);
  assert.deepEqual(raw.wakes(), [0, MS]);
  raw.call('signal', 1, 4);
  assert.deepEqual(raw.wakes(), [0]);
  assert.equal(raw.call('ping'), 7);
  assert.deepEqual(raw.wakes(), [-1]);
  assert.equal(raw.poll(waits), 1);
  assert.deepEqual(raw.wakes(), []);
});

test('rule_12_a_call_that_only_another_call_can_wake_needs_no_timer', async () => {
  const raw = await Raw.ready();
  const waits = raw.start('wait', 0);
  assert.equal(raw.poll(waits), 0);
  assert.deepEqual(raw.wakes(), [0, -1]);
  assert.equal(raw.poll(waits), 0);
  assert.equal(raw.poll(0), 0);
  assert.deepEqual(raw.wakes(), []);
});

test('rule_12_background_running_arms_the_timer_without_an_asynchronous_call', async () => {
  const raw = await Raw.ready({ mode: 1 });
  assert.equal(raw.call('turns'), 0);
  assert.deepEqual(raw.wakes(), []);
  raw.call('windlass_background', 1);
  assert.deepEqual(raw.wakes(), [MS]);
  for (const at of [1, 2, 3]) {
    raw.now = at * MS;
    assert.equal(raw.poll(0), 0);
    assert.deepEqual(raw.wakes(), [(at + 1) * MS]);
  }
  raw.call('windlass_background', 1);
  assert.deepEqual(raw.wakes(), []);
  raw.call('windlass_background', 0);
  assert.deepEqual(raw.wakes(), [-1]);
  assert.equal(raw.call('turns'), 3);
  assert.deepEqual(raw.wakes(), []);
});

test('rule_12_nested_calls_leave_the_timer_to_the_outermost', async () => {
  const raw = await Raw.ready({
    onCall: (raw) => {
      for (const sleep of [4n, 2n]) assert.equal(raw.poll(raw.start('sleep_ms', sleep)), 0);
      raw.call('windlass_background', 1);
      return 0;
    },
  });
  assert.equal(raw.call('nested', 1), 1);
  assert.deepEqual(raw.wakes(), [2 * MS]);
});

test('rule_12_a_deadline_of_a_pending_call_counts_as_a_timer', async () => {
  const raw = await Raw.ready();
  raw.call('windlass_deadline', ms(7));
  const waits = raw.start('wait', 0);
  assert.equal(raw.poll(waits), 0);
  assert.deepEqual(raw.wakes(), [0, 7 * MS]);
  raw.now = 7 * MS;
  assert.equal(raw.poll(waits), 2);
  assert.equal(raw.door().code, 7);
  assert.deepEqual(raw.wakes(), [-1]);
});

test('rule_12_our_host_forgets_the_timer_when_it_has_fired', async () => {
  const { reactor, clock } = await guest();
  const sleeps = reactor.callAsync('sleep_ms', 5);
  assert.ok(await isPending(sleeps));
  assert.equal(reactor.nextWake, ms(5));
  clock.advance(ms(5));
  assert.equal(await sleeps, 0);
  assert.equal(reactor.nextWake, undefined);
  // Nor does a poll by hand leave one behind.
  reactor.setBackground(true);
  await turn();
  reactor.call('signal_later', 0, 1, 3);
  await turn();
  assert.equal(reactor.nextWake, ms(8));
  reactor.setBackground(false);
  assert.equal(reactor.nextWake, undefined);
  assert.deepEqual(clock.timers, []);
});

test('rule_13_with_a_live_ticker_a_call_ends_at_its_deadline_with_the_report', async () => {
  const rig = await guest({ mode: 1, mayBlock: true });
  const report = '  task 0.1 "block": parked\n  task 1 "sleeper": sleeping';
  assert.throws(
    () => rig.reactor.callWithDeadline(3.5, 'block'),
    like('TimedOut', { code: 7, report, poisons: false }),
  );
  assert.deepEqual(rig.clock.slept, [1, 2, 3, 3.5].map(ms));
  assert.equal(rig.call('turns'), 3);
});

test('rule_13_a_deadline_without_a_timer_is_a_deadlock_at_once', async () => {
  for (const mayBlock of [false, true]) {
    const { reactor, clock } = await guest({ mayBlock });
    const report = '  task 0.1 "block": parked';
    assert.throws(() => reactor.callWithDeadline(1_000, 'block'), like('Deadlock', { report }));
    assert.deepEqual(clock.slept, []);
  }
});

test('rule_13_a_call_that_is_done_in_time_does_not_notice_its_deadline', async () => {
  const { reactor, clock } = await guest({ mayBlock: true });
  assert.equal(reactor.callWithDeadline(1_000, 'sleep_ms', 5), 0);
  assert.deepEqual(clock.slept, [ms(5)]);
  // A deadline is for one call.
  assert.equal(reactor.call('sleep_ms', 5_000), 0);
  assert.deepEqual(clock.slept, [ms(5), ms(5_005)]);
});

test('rule_13_a_deadline_ends_a_call_that_yields_for_ever', async () => {
  const raw = await Raw.ready({ mode: 2 });
  raw.tick = 1_000;
  raw.call('windlass_deadline', ms(1));
  const report = '  task 0.1 "yield_times": ready\n  task 1 "yielder": ready';
  assert.deepEqual(raw.call('yield_times', 1_000_000_000), failure(7, report));
  // Nobody waited: the call looked at the time now and then.
  assert.deepEqual(raw.entered(), Array(1_000).fill('now'));
  assert.equal(raw.call('ping'), 7);
});

test('rule_13_a_deadline_is_taken_by_the_next_call_even_if_that_is_refused', async () => {
  const raw = await Raw.new({ mode: 1, mayBlock: true });
  raw.call('windlass_deadline', ms(1));
  assert.equal(raw.fails('ping'), 1);
  assert.equal(raw.call('_initialize'), undefined);
  // A negative one is none, and takes an earlier one back.
  raw.call('windlass_deadline', ms(1));
  raw.call('windlass_deadline', -1n);
  assert.equal(raw.call('sleep_ms', 5n), 0);
  assert.equal(raw.now, 5 * MS);
  // One that has passed already ends the call before it begins.
  raw.call('windlass_deadline', ms(1));
  assert.equal(raw.fails('sleep_ms', 5n), 7);
  assert.equal(raw.now, 5 * MS);
});

test('rule_13_a_deadline_waits_for_the_next_call_whatever_is_polled_meanwhile', async () => {
  const raw = await Raw.ready();
  const done = raw.start('ping');
  assert.equal(raw.poll(done), 1);
  raw.now = 5 * MS;
  raw.call('windlass_deadline', ms(1));
  assert.equal(raw.call('windlass.result.ping', done), 7);
  assert.equal(raw.poll(0), 0);
  const late = raw.call('ping');
  assert.equal(late.code, 7, 'neither the result nor the poll took it');
  assert.equal(raw.call('ping'), 7, 'the call did');
});

test('rule_13_an_asynchronous_call_times_out_when_it_is_polled', async () => {
  const { reactor, clock, call, trace } = await guest();
  trace();
  const waits = reactor.callAsyncWithDeadline(10, 'wait', 0);
  assert.ok(await isPending(waits));
  assert.deepEqual(clock.timers, [ms(10)]);
  clock.advance(ms(9));
  assert.ok(await isPending(waits));
  clock.advance(ms(1));
  const report = '  task 0.2 "wait": receiving from a channel';
  await assert.rejects(waits, like('TimedOut', { report }));
  // The call is over; its task goes on, detached, and its late result is dropped.
  call('signal', 0, 1);
  assert.deepEqual(trace(), ['wait: begins', 'wait: ends']);
  assert.equal(reactor.report(), '  no task');

  const raw = await Raw.ready();
  raw.call('windlass_deadline', ms(10));
  const id = raw.start('wait', 0);
  assert.equal(raw.poll(id), 0);
  raw.now = 10 * MS;
  assert.equal(raw.poll(id), 2);
  assert.deepEqual(raw.door(), failure(7, '  task 0.1 "wait": receiving from a channel'));
  assert.equal(raw.poll(id), 2);
  assert.deepEqual(raw.door(), NO_SUCH_CALL);
});

test('rule_13_a_poll_returns_though_the_background_yields_for_ever', async () => {
  const raw = await Raw.ready({ mode: 2 });
  for (let count = 0; count < 3; count += 1) assert.equal(raw.poll(0), 3);
  assert.ok(raw.call('turns') > 0);
  // With somebody waiting, too.
  const waits = raw.start('wait', 0);
  assert.equal(raw.poll(waits), 3);
  raw.call('signal', 0, 6);
  assert.equal(raw.poll(waits), 1);
  assert.equal(raw.call('windlass.result.wait', waits), 6);
  raw.call('stop_background');
  assert.equal(raw.poll(0), 0);
});

// ---- beside the rules: what crosses, and the sizes of stacks

test('every_number_crosses_at_its_extremes', async () => {
  for (const { call } of [await guest(), await direct()]) {
    const [least, most] = [-(2 ** 31), 2 ** 31 - 1];
    for (const [a, b] of [[0, 0], [most, 1], [least, -1], [-1, 1], [most, least]]) {
      assert.equal(call('add', a, b), (a + b) | 0);
    }
    for (const a of [0, 1, 2 ** 32 - 1, 2 ** 31]) assert.equal(call('flip', a), ~a >>> 0);
    for (const a of [0n, 1n, -1n, 2n ** 63n - 1n, -(2n ** 63n), 2n ** 32n]) {
      assert.equal(call('negate', a), BigInt.asIntN(64, -a));
    }
    for (const a of [0n, 1n, 2n ** 64n - 1n, 2n ** 63n]) assert.equal(call('biggest', a), 2n ** 64n - 1n - a);
    const largest = Math.fround(3.4028234663852886e38);
    for (const a of [0, -0, 1.5, largest, -largest, 2 ** -126, Infinity, -Infinity, NaN]) {
      assert.ok(Object.is(call('half', a), Math.fround(a / 2)), String(a));
    }
    for (const f of [0, 1.25, Number.MAX_VALUE, -Number.MAX_VALUE, Number.MIN_VALUE, Infinity, -Infinity, NaN]) {
      assert.ok(Object.is(call('mix', 0, 0, 0n, 0n, 0, f), f), String(f));
    }
    const sum = least + (2 ** 32 - 1) + -(2 ** 63) + 2 ** 64 + 2 ** -126 - 0.5;
    assert.equal(call('mix', least, 2 ** 32 - 1, -(2n ** 63n), 2n ** 64n - 1n, 2 ** -126, -0.5), sum);
  }
});

test('text_and_bytes_cross_empty_and_large_and_leak_nothing', async () => {
  const large = Uint8Array.from({ length: 2 ** 20 }, (_, index) => index % 251);
  const reversed = large.slice().reverse();
  const long = 'wörld '.repeat(200_000);
  for (const { call } of [await guest(), await direct()]) {
    const round = () => {
      assert.equal(call('greet', ''), 'hello, !');
      assert.equal(call('greet', 'nul \0, wörld, 🪢'), 'hello, nul \0, wörld, 🪢!');
      assert.ok(call('greet', long) === `hello, ${long}!`);
      assert.deepEqual(call('reverse', new Uint8Array()), new Uint8Array());
      assert.deepEqual(call('reverse', Uint8Array.of(0, 1, 255)), Uint8Array.of(255, 1, 0));
      assert.ok(Buffer.from(call('reverse', large)).equals(reversed));
      return call('allocated');
    };
    assert.equal(round(), round());
  }
});

test('the_report_lists_what_has_not_finished_and_counts_what_is_alive', async () => {
  const raw = await Raw.ready();
  const lines = () => raw.report().split('\n').filter((line) => line !== '  no task').length;
  assert.deepEqual([raw.call('windlass_report'), lines()], [0, 0]);
  raw.start('wait', 0);
  assert.deepEqual([raw.call('windlass_report'), lines()], [1, 1]);
  // A finished call whose result nobody has taken.
  const done = raw.start('ping');
  assert.equal(raw.poll(done), 1);
  assert.deepEqual([raw.call('windlass_report'), lines()], [2, 1]);
});

test('reading_the_error_code_takes_it', async () => {
  const raw = await Raw.ready();
  assert.equal(raw.fails('block'), 5);
  assert.equal(raw.door().code, 0);
  assert.throws(() => raw.exports.block(), WebAssembly.RuntimeError);
  // The next call clears it, too.
  assert.equal(raw.call('ping'), 7);
  assert.equal(raw.door().code, 0);
});

test('frames_of_a_deep_suspended_task_come_back_as_they_were', async () => {
  for (const mode of [0, 2]) {
    const { call } = await guest({ mode });
    for (const depth of [0, 1, 2, 63, 100]) assert.equal(call('deep_yield', depth), depth);
  }
});

test('stack_sizes_out_of_range_are_named_errors', async () => {
  const { call } = await guest();
  const [works, tooSmall, tooLarge] = [0, 1, 2];
  for (const [bytes, answer] of [
    [0n, tooSmall],
    [1n, tooSmall],
    [1_024n, tooSmall],
    [1_100n, works],
    [2_048n, works],
    [1n << 20n, works],
    [(1n << 28n) + 1n, tooLarge],
    [1n << 32n, tooLarge],
    [1n << 40n, tooLarge],
    [2n ** 63n - 1n, tooLarge],
  ]) {
    assert.equal(call('spawn_with_stack', bytes), answer, String(bytes));
  }
});
