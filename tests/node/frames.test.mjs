// Frames of suspended tasks that outgrow the task's stack: with the own engine they go on in memory that the guest's
// `windlass_frames_alloc` gives. crates/host/tests/rules/frames.rs has more of them, in wasmtime.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';

import { MockClock, load } from './driver.mjs';

const GUEST = 'WINDLASS_TEST_GUEST';

const path = process.env[GUEST];
if (path === undefined) throw new Error(`${GUEST} is not set; \`cargo xtask test\` builds the guest and sets it`);
const guestModule = await WebAssembly.compile(await readFile(path));

const [section] = WebAssembly.Module.customSections(guestModule, 'windlass.lowered');
const engine = new TextDecoder().decode(section).split(' ').at(-1);

/** An instance beside whose calls a task is always ready, so that to yield is to be suspended. */
async function guest() {
  const imports = { test: { init_mode: () => 2, call: () => assert.fail('nothing calls the host') } };
  const reactor = await load(guestModule, { clock: new MockClock(), imports });
  reactor.initialize();
  return reactor;
}

/** What `deep_frames` of tests/guest computes. */
function expected(depth) {
  const i64 = (value) => BigInt.asIntN(64, value);
  const levels = [];
  let [a, b, c] = [BigInt(depth), 0x9e37_79b9n, 1.5];
  for (let level = depth; level > 0; level -= 1) {
    levels.push([a, b, c]);
    [a, b, c] = [b, i64(a * 31n + b), c + level];
  }
  /** As Rust converts. */
  const whole = (number) => {
    if (number >= 2 ** 63) return 2n ** 63n - 1n;
    return number <= -(2 ** 63) ? -(2n ** 63n) : BigInt(Math.trunc(number));
  };
  const up = (below, [a, b, c]) => i64((below ^ a) * (b | 1n) + whole(c * Number(below)));
  return levels.reduceRight(up, a ^ b);
}

const skip = engine === 'own' ? false : 'only the own engine lets frames leave the stack';

for (const [depth, every] of [[100, 7], [5_000, 5_000], [5_000, 97], [1_000, 1]]) {
  test(`a task suspends ${depth} frames deep, at each level that ${every} divides`, { skip }, async () => {
    const reactor = await guest();
    const round = () => {
      assert.equal(reactor.call('deep_frames', depth, every), expected(depth));
      return reactor.call('allocated');
    };
    const left = round();
    for (let count = 0; count < 3; count += 1) assert.equal(round(), left);
  });
}
