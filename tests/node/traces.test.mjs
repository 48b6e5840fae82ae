// Each scenario of `tests/cases` in the lowered guest: its events must be those of its golden, in their order, whether the guest may
// sleep in its call, or is polled.

import assert from 'node:assert/strict';
import { readFile, readdir } from 'node:fs/promises';
import { test } from 'node:test';

import { MockClock, load } from './driver.mjs';

const GUEST = 'WINDLASS_TEST_GUEST';
const goldens = new URL('../cases/goldens/', import.meta.url);

const path = process.env[GUEST];
if (path === undefined) throw new Error(`${GUEST} is not set; \`cargo xtask test\` builds the guest and sets it`);
const guestModule = await WebAssembly.compile(await readFile(path));

/** A new instance, whose clock stands at zero and moves when the guest waits. */
async function guest(options = {}) {
  const clock = new MockClock();
  const call = () => assert.fail('no case calls the host');
  const imports = { test: { init_mode: () => 0, call } };
  const reactor = await load(guestModule, { clock, imports, ...options });
  reactor.initialize();
  return { reactor, clock };
}

async function cases() {
  const { reactor } = await guest();
  return Array.from({ length: reactor.call('case_count') }, (_, number) => reactor.call('case_name', number));
}

/** Lets everything run that needs no time. */
const turn = () => new Promise((resolve) => setImmediate(resolve));

/** Polls the call, and moves the clock to the guest's next timer when it waits. */
async function polled(reactor, clock, number) {
  let settled = false;
  const call = reactor.callAsync('run_case', number).finally(() => {
    settled = true;
  });
  for (await turn(); !settled; await turn()) {
    const [next] = clock.timers;
    if (next === undefined) {
      const report = reactor.close();
      await assert.rejects(call);
      assert.fail(`deadlock:\n${report}`);
    }
    clock.advance(next - clock.now());
  }
  return call;
}

const names = await cases();

for (const [number, name] of names.entries()) {
  const golden = () => readFile(new URL(`${name}.trace`, goldens), 'utf8');
  /** The call that asks is the one task there is. */
  const nothingIsLeft = (reactor) => {
    assert.deepEqual({ tasks: reactor.call('stats', 0), stacks: reactor.call('stats', 1) }, { tasks: 1n, stacks: 1n });
  };

  test(`${name}, synchronous`, async () => {
    const { reactor } = await guest({ mayBlock: true });
    assert.equal(reactor.call('run_case', number), await golden());
    nothingIsLeft(reactor);
  });

  test(`${name}, polled`, async () => {
    const { reactor, clock } = await guest();
    assert.equal(await polled(reactor, clock, number), await golden());
    nothingIsLeft(reactor);
  });
}

test('each golden has a case and each case a golden', async () => {
  const found = (await readdir(goldens)).filter((file) => file.endsWith('.trace')).map((file) => file.slice(0, -6));
  assert.deepEqual(found.sort(), names.toSorted());
});
