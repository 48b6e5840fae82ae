// The rules that could differ on wasm32-wasip1, whose C runtime has an `_initialize` of its own: who runs the constructors, and when.
// The guest is tests/guest, linked with crt1-reactor.o and lowered.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { WASI } from 'node:wasi';

import { MockClock, WindlassError, load } from './driver.mjs';

const GUEST = 'WINDLASS_TEST_GUEST_WASIP1';

const path = process.env[GUEST];
if (path === undefined) throw new Error(`${GUEST} is not set; \`cargo xtask test\` builds the guest and sets it`);
const guestModule = await WebAssembly.compile(await readFile(path));

/** What the guest imports besides what the driver provides. */
const imports = (wasi, call) => ({ ...wasi.getImportObject(), test: { init_mode: () => 0, call } });

/** A new instance, not initialised, with a clock that stands still until the guest waits. */
async function guest({ call = () => assert.fail('nothing calls the host'), ...options } = {}) {
  const [clock, wasi] = [new MockClock(), new WASI({ version: 'preview1' })];
  const reactor = await load(guestModule, {
    clock,
    imports: (reactor) => imports(wasi, (what) => call(reactor, what)),
    ...options,
  });
  // Node's `initialize` calls `_initialize`, too, which is the driver's to do: it is shown the memory alone.
  wasi.initialize({ exports: { memory: reactor.exports.memory } });
  return { reactor, clock };
}

async function initialised(options) {
  const made = await guest(options);
  made.reactor.initialize();
  return made;
}

/** What an assertion on an error needs. */
const like = (kind, fields = {}) => (error) => {
  assert.ok(error instanceof WindlassError, String(error.stack));
  assert.equal(error.kind, kind);
  for (const [name, value] of Object.entries(fields)) assert.deepEqual(error[name], value, name);
  return true;
};

const ran = (reactor) => ({ constructors: reactor.call('constructed'), inits: reactor.call('inits') });
const ONCE = { constructors: 1, inits: 1 };

test('the lowered module has one `_initialize`, and nothing is left to define', () => {
  const exported = WebAssembly.Module.exports(guestModule).map(({ name }) => name);
  const entries = exported.filter((name) => /^_|initialize$/.test(name));
  assert.deepEqual(entries, ['_initialize']);
  const imported = WebAssembly.Module.imports(guestModule).map(({ module }) => module);
  assert.ok(!imported.includes('windlass'));
});

test('rule 1: constructors and init run once, whatever is called', async () => {
  const { reactor } = await initialised();
  assert.deepEqual(ran(reactor), ONCE);
  assert.equal(reactor.call('trace'), 'init\ninit done');
  for (let call = 0; call < 3; call += 1) assert.deepEqual(ran(reactor), ONCE);
});

test('rule 1: a second `_initialize` is refused, and the instance is usable', async () => {
  const { reactor } = await initialised();
  for (let time = 0; time < 2; time += 1) {
    assert.throws(() => reactor.initialize(), like('AlreadyInitialised', { code: 2, poisons: false }));
    assert.equal(reactor.call('add', 3, 5), 8);
    assert.deepEqual(ran(reactor), ONCE);
  }
  assert.equal(reactor.call('trace'), 'init\ninit done');
});

test('rule 1: a second `_initialize` out of a host call is refused there', async () => {
  const { reactor } = await initialised({
    call: (reactor) => {
      assert.throws(() => reactor.initialize(), like('AlreadyInitialised', { code: 2 }));
      return 40;
    },
  });
  assert.equal(reactor.call('nested', 0), 41);
  assert.deepEqual(ran(reactor), ONCE);
});

test('rule 2: a call before `_initialize` is refused and runs no constructor', async () => {
  const { reactor } = await guest();
  for (let time = 0; time < 2; time += 1) {
    assert.throws(() => reactor.call('add', 3, 5), like('NotInitialised', { code: 1, poisons: false }));
  }
  reactor.initialize();
  assert.deepEqual(ran(reactor), ONCE);
});

test('numbers, text and bytes cross', async () => {
  const { reactor } = await initialised();
  assert.equal(reactor.call('add', 2 ** 31 - 1, 1), -(2 ** 31));
  assert.equal(reactor.call('mix', -1, 2, -3n, 4n, 0.5, 0.25), 2.75);
  assert.equal(reactor.call('greet', 'Grüße'), 'hello, Grüße!');
  assert.deepEqual(reactor.call('reverse', Uint8Array.of(1, 0, 255)), Uint8Array.of(255, 0, 1));
});

test('rule 4: calls nest through the host, and finish in any order', async () => {
  const { reactor } = await initialised({
    call: (reactor, what) => (what === 4 ? reactor.call('inner') : reactor.call('add', what, 2)),
  });
  assert.equal(reactor.call('nested', 5), 8);
  reactor.call('trace');
  assert.equal(reactor.call('outer'), 10);
  assert.equal(
    reactor.call('trace'),
    [
      'outer: waits',
      'caller: calls the host',
      'inner: signals',
      'outer: goes on',
      'outer: ends',
      'inner: ends',
      'caller: host returned',
    ].join('\n'),
  );
});

test('rule 8: sleeping sleeps where the host may block', async () => {
  const { reactor, clock } = await initialised({ mayBlock: true });
  assert.equal(reactor.call('sleep_ms', 20n), 0);
  assert.equal(clock.now(), 20_000_000n);
});

test('rule 7: elsewhere it would wait, and an asynchronous call does', async () => {
  const { reactor, clock } = await initialised();
  assert.throws(() => reactor.call('sleep_ms', 20n), like('WouldWait', { code: 6, poisons: false }));
  clock.advance(20_000_000n);
  const call = reactor.callAsync('sleep_ms', 5n);
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(clock.timers, [25_000_000n]);
  clock.advance(5_000_000n);
  assert.equal(await call, 0);
});

test('rule 9: a trap poisons, `_initialize` included', async () => {
  const { reactor } = await initialised();
  assert.throws(() => reactor.call('trap'), like('Trap', { call: 'trap', report: 'unreachable' }));
  assert.throws(() => reactor.call('add', 3, 5), like('Poisoned', { by: 'trap' }));
  // The guest knows by itself.
  for (const entry of [() => reactor.exports.add(3, 5), () => reactor.exports._initialize()]) {
    assert.throws(entry, WebAssembly.RuntimeError);
    assert.equal(reactor.exports.windlass_error_code(), 4);
  }
});

test('a WASI host that knows nothing of Windlass initialises it', async () => {
  const wasi = new WASI({ version: 'preview1' });
  const windlass_host = { now: () => 0n, wait: () => 1, wake_at: () => {}, log: () => {} };
  const call = () => assert.fail('nothing calls the host');
  const instance = await WebAssembly.instantiate(guestModule, { ...imports(wasi, call), windlass_host });
  wasi.initialize(instance);
  const { _initialize, add, constructed, inits, windlass_error_code } = instance.exports;
  assert.equal(add(3, 5), 8);
  assert.throws(() => _initialize(), WebAssembly.RuntimeError);
  assert.equal(windlass_error_code(), 2);
  assert.deepEqual({ constructors: constructed(), inits: inits() }, ONCE);
});
