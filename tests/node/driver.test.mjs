// The driver against guests made by hand: fake.wat and its neighbours.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';

import { MockClock, SystemClock, WindlassError, load } from './driver.mjs';

const path = (name) => new URL(name, import.meta.url);
const fakeModule = await WebAssembly.compile(await readFile(path('fake.wasm')));

/** The fake guest, initialised, with a clock that stands still and a trace of what the guest saw. */
async function fake({ callOutside, ...options } = {}) {
  const [clock, trace] = [new MockClock(), []];
  const nested = (reactor) => (a, b) => reactor.call('add', a, b);
  const reactor = await load(fakeModule, {
    clock,
    imports: (reactor) => ({
      env: {
        trace: (what) => void trace.push(what),
        init: () => 0,
        call_outside: (callOutside ?? nested)(reactor),
      },
    }),
    ...options,
  });
  reactor.initialize();
  return { reactor, clock, trace: () => trace.splice(0) };
}

/** What an assertion on an error needs. */
const like = (kind, fields = {}) => (error) => {
  assert.ok(error instanceof WindlassError, String(error.stack));
  assert.equal(error.kind, kind);
  for (const [name, value] of Object.entries(fields)) assert.deepEqual(error[name], value, name);
  return true;
};

/** Lets everything run that needs no time. */
const turn = () => new Promise((resolve) => setImmediate(resolve));

async function isPending(promise) {
  const pending = Symbol('pending');
  return (await Promise.race([promise.catch(() => {}), turn().then(() => pending)])) === pending;
}

test('numbers, text and bytes cross, and every allocation finds its owner', async () => {
  const { reactor } = await fake();
  assert.equal(reactor.call('add', 3, 5), 8);
  assert.equal(reactor.call('mix', -1, 2, -3, 4n, 0.5, 0.25), 2.75);
  assert.equal(reactor.call('echo_u32', 0xffff_ffff), 0xffff_ffff);
  assert.equal(reactor.call('echo_i64', -(2n ** 63n)), -(2n ** 63n));
  assert.equal(reactor.call('echo_u64', 2n ** 64n - 1n), 2n ** 64n - 1n);
  assert.equal(reactor.call('echo_f32', 0.5), 0.5);
  assert.equal(reactor.call('nothing'), undefined);
  for (const text of ['', 'grüß', '\ufeffx']) assert.equal(reactor.call('echo', text), text);
  assert.deepEqual(reactor.call('second', 'first', Uint8Array.of(1, 0, 255)), Uint8Array.of(1, 0, 255));
  assert.throws(() => reactor.call('second', 'first', new Uint8Array(50_000)), like('OutOfMemory', { bytes: 50_000 }));
  assert.throws(() => reactor.call('bad_text'), like('Protocol', { report: 'a string result is not UTF-8' }));
  assert.throws(() => reactor.call('bad_address'), like('Protocol'));
  assert.equal(reactor.call('live'), 0);
});

test('a call of another type shows the signature and does not enter', async () => {
  const { reactor } = await fake();
  const declared = 'add(i32, i32) -> i32';
  assert.throws(() => reactor.call('add', 3), like('Signature', { declared, given: 'add(3)' }));
  assert.throws(() => reactor.call('add', 3, '5'), like('Signature', { declared, given: 'add(3, "5")' }));
  assert.throws(() => reactor.call('add', 3, 2 ** 31), like('Signature'));
  assert.throws(() => reactor.call('add', 3, 0.5), like('Signature'));
  assert.throws(() => reactor.call('echo_u64', -1n), like('Signature'));
  assert.throws(() => reactor.call('sub', 3, 5), like('NoSuchExport', { call: 'sub' }));
  assert.throws(() => reactor.call('windlass_poll', 0), like('NoSuchExport'));
  assert.equal(String(reactor.signatures[0]), declared);
  assert.equal(String(reactor.signatures.at(-1)), 'echo_later(string) -> string');
});

test('what cannot be loaded says what to do', async () => {
  await assert.rejects(load(path('not_lowered.wasm')), (error) => {
    assert.match(error.message, /imports `windlass.run`: it was not lowered; .* run `windlass-lower` on it$/);
    return like('NotLowered', { import: 'windlass.run' })(error);
  });
  await assert.rejects(load(path('next_abi.wasm')), like('AbiMismatch', { found: 2, expected: 1 }));
  await assert.rejects(load(fakeModule), like('MissingImport', { import: 'env.trace' }));
  await assert.rejects(load(path('missing.wasm')), like('Load'));
  await assert.rejects(load(new TextEncoder().encode('(module)')), like('Load'));
});

test('calls before and a second initialize are refused', async () => {
  const env = { trace: () => {}, init: () => 5, call_outside: () => 0 };
  const reactor = await load(fakeModule, { imports: { env } });
  assert.throws(() => reactor.call('add', 3, 5), like('NotInitialised', { code: 1 }));
  assert.throws(() => reactor.initialize(), like('Deadlock', { code: 5, report: 'report' }));
  assert.throws(() => reactor.call('add', 3, 5), like('NotInitialised', { code: 1 }));
  const { reactor: other } = await fake();
  assert.throws(() => other.initialize(), like('AlreadyInitialised', { code: 2 }));
});

test('each code of the error door has its kind, and those that leave the instance usable do', async () => {
  const { reactor } = await fake();
  const kinds = { 5: 'Deadlock', 6: 'WouldWait', 7: 'TimedOut', 10: 'NestedTooDeep', 11: 'NoTask', 12: 'NoSuchCall', 99: 'Unknown' };
  for (const [code, kind] of Object.entries(kinds)) {
    assert.throws(() => reactor.call('fail', Number(code)), like(kind, { code: Number(code), report: 'report', poisons: false }));
    assert.equal(reactor.call('add', 3, 5), 8);
  }
  assert.throws(() => reactor.call('fail', 9), like('Exited', { exitCode: 7 }));
  assert.throws(() => reactor.call('add', 3, 5), like('Ended', { exitCode: 7 }));
});

test('a trap, a panic and a stack overflow poison, and the call is remembered', async () => {
  for (const [name, args, kind, report] of [
    ['boom', [], 'Trap', 'unreachable'],
    ['outside_memory', [], 'Trap', 'memory access out of bounds'],
    ['fail', [8], 'Panicked', 'report'],
    ['fail', [13], 'StackOverflow', 'report'],
    ['fail', [14], 'WouldBlock', 'report'],
  ]) {
    const { reactor, trace } = await fake();
    assert.throws(() => reactor.call(name, ...args), like(kind, { report, poisons: true }));
    assert.throws(() => reactor.call('add', 3, 5), like('Poisoned', { by: name, report }));
    assert.deepEqual(trace(), []);
  }
});

test('an import may call the guest again, and handle its errors', async () => {
  const { reactor } = await fake();
  assert.equal(reactor.call('call_outside', 3, 5), 8);
  const { reactor: handles } = await fake({
    callOutside: (reactor) => (code) => {
      assert.throws(() => reactor.call('fail', code), like('TimedOut'));
      return -1;
    },
  });
  assert.equal(handles.call('call_outside', 7, 0), -1);
  assert.equal(handles.call('add', 3, 5), 8);
  // A trap after that is no echo of the handled error.
  assert.throws(() => handles.call('outside_then_boom', 7, 0), like('Trap', { call: 'outside_then_boom' }));
});

test('an error thrown through the guest poisons it, and the guest is told', async () => {
  const cause = new Error('no such row');
  const { reactor, trace } = await fake({
    callOutside: () => () => {
      throw cause;
    },
  });
  assert.throws(() => reactor.call('call_outside', 1, 2), like('Import', { call: 'call_outside', import: 'env.call_outside', cause }));
  assert.deepEqual(trace(), [4000]);
  assert.throws(() => reactor.call('add', 3, 5), like('Poisoned', { by: 'call_outside' }));
});

test('a trap in a nested call takes the outer one with it and is the one remembered', async () => {
  const { reactor } = await fake({
    callOutside: (reactor) => () => {
      assert.throws(() => reactor.call('boom'), like('Trap'));
      return 0;
    },
  });
  assert.throws(() => reactor.call('call_outside', 1, 2), like('Trap', { call: 'call_outside' }));
  assert.throws(() => reactor.call('add', 3, 5), like('Poisoned', { by: 'boom' }));
});

test('a timer that is due when it is set fires without a move of the clock, and not at once', async () => {
  const clock = new MockClock();
  const fired = [];
  clock.setTimer(0n, () => fired.push('kept'));
  clock.setTimer(0n, () => fired.push('cleared'))();
  assert.deepEqual(fired, []);
  await turn();
  assert.deepEqual([fired, clock.timers], [['kept'], []]);
});

test('sleeping is allowed only to a host that may block', async () => {
  const { reactor, clock } = await fake();
  assert.throws(() => reactor.call('nap', 1000), like('WouldWait', { code: 6 }));
  assert.deepEqual(clock.slept, []);
  const blocking = await fake({ mayBlock: true });
  blocking.reactor.call('nap', 1000);
  assert.deepEqual(blocking.clock.slept, [1000n]);
});

test('a deadline is taken by one call', async () => {
  const { reactor, clock } = await fake();
  clock.advance(1_000_000_000n);
  assert.equal(reactor.callWithDeadline(5, 'taken_deadline'), 1_005_000_000n);
  assert.equal(reactor.call('taken_deadline'), -1n);
});

test('lines of the log gather or go to the function', async () => {
  const { reactor } = await fake();
  reactor.call('say', 'grüß');
  assert.deepEqual(reactor.log, ['grüß']);
  const lines = [];
  const other = await fake({ log: (line) => lines.push(line) });
  other.reactor.call('say', 'x');
  assert.deepEqual([lines, other.reactor.log], [['x'], []]);
});

test('one timer is set for the earliest and fires one background poll', async () => {
  const { reactor, clock, trace } = await fake();
  const [late, early] = [reactor.callAsync('sleep', 3000), reactor.callAsync('sleep', 1000)];
  assert.deepEqual(trace(), []);
  await turn();
  assert.deepEqual([trace(), clock.timers], [[1, 2], [1000n]]);
  clock.advance(999n);
  assert.deepEqual(trace(), []);
  clock.advance(1n);
  assert.equal(await early, 102);
  assert.ok(await isPending(late));
  // After a call that is done the others are looked at again.
  assert.deepEqual([trace(), clock.timers], [[0, 1, 2, 1], [3000n]]);
  clock.advance(2000n);
  assert.equal(await late, 101);
  assert.deepEqual([trace(), clock.timers, reactor.pending], [[0, 1], [], []]);
});

test('the wake-up is forgotten by the background poll that it asked for', async () => {
  const { reactor, clock } = await fake();
  reactor.exports['windlass.start.sleep'](1000n);
  reactor.exports.windlass_poll(1);
  assert.equal(reactor.nextWake, 1000n);
  clock.advance(1000n);
  assert.equal(reactor.pollBackground(), false);
  assert.equal(reactor.nextWake, undefined);
});

test('text crosses, and what is still runnable is polled again', async () => {
  const { reactor, trace } = await fake();
  assert.equal(await reactor.callAsync('echo_later', 'grüß'), 'grüß');
  assert.equal(reactor.call('live'), 0);
  trace();
  assert.equal(await reactor.callAsync('yield', 3), 101);
  assert.deepEqual(trace(), [1, 1, 1]);
});

test('a synchronous call has the pending ones polled, and one that fails leaves the others', async () => {
  const { reactor } = await fake();
  const [first, second, third] = [0, 0, 0].map(() => reactor.callAsync('block'));
  assert.ok(await isPending(first));
  reactor.call('wake', 2);
  assert.equal(await second, 102);
  reactor.call('spoil', 1, 7);
  await assert.rejects(first, like('TimedOut', { code: 7, report: 'report' }));
  assert.ok(await isPending(third));
});

test('a call that ended while another was polled is looked at again', async () => {
  const { reactor } = await fake();
  const [blocked, releases] = [reactor.callAsync('block'), reactor.callAsync('release')];
  assert.deepEqual([await blocked, await releases], [101, 102]);
});

test('a timer that comes due between two polls is not lost', async () => {
  const clock = new MockClock();
  // Its timers are late without end.
  const late = { now: () => clock.now(), setTimer: () => () => {} };
  const env = {
    // Time passes while the second call is polled.
    trace: (what) => what === 2 && clock.advance(1000n),
    init: () => 0,
    call_outside: () => 0,
  };
  const reactor = await load(fakeModule, { clock: late, imports: { env } });
  reactor.initialize();
  const [sleeping, blocked] = [reactor.callAsync('sleep', 1000), reactor.callAsync('block')];
  assert.equal(await sleeping, 101);
  assert.ok(await isPending(blocked));
});

test('a result that poisons when it is taken is heard by the others', async () => {
  const { reactor } = await fake();
  const [blocked, bad] = [reactor.callAsync('block'), reactor.callAsync('bad_result')];
  await assert.rejects(bad, like('Panicked'));
  await assert.rejects(blocked, like('Poisoned'));
});

test('a call that cannot start rejects', async () => {
  const { reactor } = await fake({ maxTasks: 1 });
  const first = reactor.callAsync('block');
  await assert.rejects(reactor.callAsync('block'), like('NoTask', { code: 11 }));
  await assert.rejects(reactor.callAsync('nobody'), like('NoSuchExport'));
  await assert.rejects(reactor.callAsync('add', 3, 5), like('Unsupported', { export: 'windlass.start.add' }));
  assert.ok(await isPending(first));
});

test('cancelling and closing reject', async () => {
  const { reactor, clock, trace } = await fake();
  const [blocked, sleeping] = [reactor.callAsync('block'), reactor.callAsync('sleep', 1000)];
  await turn();
  trace();
  assert.equal(reactor.cancel(blocked), true);
  assert.equal(reactor.cancel(blocked), false);
  await assert.rejects(blocked, like('Cancelled'));
  assert.equal(trace()[0], 2001);
  assert.deepEqual(clock.timers, [1000n]);
  assert.equal(reactor.close(), '2 tasks');
  await assert.rejects(sleeping, like('Closed', { report: '2 tasks' }));
  assert.deepEqual(clock.timers, []);
  assert.throws(() => reactor.call('add', 3, 5), like('Closed', { report: '2 tasks' }));
  assert.equal(reactor.close(), '2 tasks');
});

test('a timer of nobody is not kept', async () => {
  const { reactor, clock } = await fake();
  const sleeping = reactor.callAsync('sleep', 1000);
  await turn();
  reactor.cancel(sleeping);
  await assert.rejects(sleeping, like('Cancelled'));
  assert.deepEqual(clock.timers, []);
});

test('a panic or an exit in the background of a call reaches everyone', async () => {
  const { reactor } = await fake();
  const [blocked, panics] = [reactor.callAsync('block'), reactor.callAsync('panic')];
  await assert.rejects(blocked, like('Panicked', { report: 'report' }));
  await assert.rejects(panics, like('Poisoned', { by: 'block', report: 'report' }));
  const other = await fake();
  const [first, quits] = [other.reactor.callAsync('block'), other.reactor.callAsync('quit')];
  await assert.rejects(first, like('Exited', { exitCode: 7 }));
  await assert.rejects(quits, like('Ended', { exitCode: 7 }));
});

test('a synchronous call that poisons rejects the pending ones', async () => {
  const { reactor } = await fake();
  const blocked = reactor.callAsync('block');
  assert.throws(() => reactor.call('boom'), like('Trap'));
  await assert.rejects(blocked, like('Poisoned', { by: 'boom' }));
});

test('the background runs by timers while it is on', async () => {
  const { reactor, clock, trace } = await fake();
  const errors = [];
  reactor.setBackground(true, (error) => errors.push(error.kind));
  await turn();
  assert.deepEqual([trace(), clock.timers], [[0], [1000n]]);
  clock.advance(1000n);
  assert.deepEqual([trace(), clock.timers], [[0], [2000n]]);
  reactor.close();
  assert.deepEqual([errors, clock.timers], [['Closed'], []]);
});

test('a clock moved in an import brings nobody into the middle of a call', async () => {
  const clock = new MockClock();
  const { reactor, trace } = await fake({ clock, callOutside: () => () => (clock.advance(5000n), 1) });
  const sleeping = reactor.callAsync('sleep', 1000);
  await turn();
  trace();
  assert.equal(reactor.call('call_outside', 0, 0), 1);
  assert.deepEqual(trace(), []);
  assert.equal(await sleeping, 101);
  assert.deepEqual(trace(), [0, 1]);
});

test('without the scheduler the host alone remembers', async () => {
  const reactor = await load(path('plain.wasm'));
  assert.throws(() => reactor.call('half', 3), like('NotInitialised'));
  reactor.initialize();
  assert.throws(() => reactor.initialize(), like('AlreadyInitialised'));
  assert.equal(reactor.call('half', 3), 1.5);
  assert.equal(reactor.call('id', 5n), 5n);
  assert.throws(() => reactor.call('id', 5), like('Signature', { given: 'id(5)' }));
  await assert.rejects(reactor.callAsync('id', 5n), like('Unsupported', { export: 'windlass.start.id' }));
  assert.throws(() => reactor.callWithDeadline(1, 'id', 5n), like('Unsupported', { export: 'windlass_deadline' }));
  assert.throws(() => reactor.call('boom'), like('Trap', { report: 'unreachable' }));
  assert.throws(() => reactor.call('half', 3), like('Poisoned', { by: 'boom', report: 'unreachable' }));
});

test('a result of an import that the engine cannot convert poisons', async () => {
  const { reactor, trace } = await fake({ callOutside: () => () => 1n });
  assert.throws(() => reactor.call('call_outside', 1, 2), like('Import', { import: 'env.call_outside' }));
  assert.deepEqual(trace(), [4000]);
});

test("Node's own clock sleeps and fires", async () => {
  const clock = new SystemClock();
  const until = clock.now() + 2_000_000n;
  clock.sleepUntil(until);
  assert.ok(clock.now() >= until);
  clock.setTimer(clock.now() + 1_000_000n, () => assert.fail('it was cleared'))();
  const next = clock.now() + 2_000_000n;
  await new Promise((resolve) => clock.setTimer(next, resolve));
  assert.ok(clock.now() >= next);
});
