// The few functions of WASI that the program uses, and `tick`.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';

import { random } from '../harness/suspension.mjs';

const input = readFileSync(new URL('input.txt', import.meta.url));

/** Bytes that one read gives at most, so that there are several. */
const PIECE = 100;

/** What the program prints. */
export function run(module, suspension) {
  const output = { 1: '', 2: '' };
  const decoders = { 1: new TextDecoder(), 2: new TextDecoder() };
  const dice = random(5);
  let [read, nanoseconds, ticks] = [0, 1_700_000_000_000_000_000n, 0n];
  let exports;
  const view = () => new DataView(exports.memory.buffer);
  /** Each vector of an `iovec` array. */
  function* vectors(pointer, count) {
    for (let index = 0; index < count; index += 1) {
      const [start, length] = new Uint32Array(exports.memory.buffer, pointer + 8 * index, 2);
      yield new Uint8Array(exports.memory.buffer, start, length);
    }
  }

  const wasi = {
    clock_time_get: (_clock, _precision, into) => {
      view().setBigInt64(into, (nanoseconds += 1000n), true);
      return 0;
    },
    environ_get: () => 0,
    environ_sizes_get: (count, size) => {
      for (const into of [count, size]) view().setInt32(into, 0, true);
      return 0;
    },
    fd_read: (fd, pointer, count, into) => {
      assert.equal(fd, 0);
      const [vector] = vectors(pointer, count);
      const piece = input.subarray(read, read + Math.min(vector.length, PIECE));
      vector.set(piece);
      read += piece.length;
      view().setInt32(into, piece.length, true);
      return 0;
    },
    fd_write: (fd, pointer, count, into) => {
      let written = 0;
      for (const vector of vectors(pointer, count)) {
        output[fd] += decoders[fd].decode(vector, { stream: true });
        written += vector.length;
      }
      view().setInt32(into, written, true);
      return 0;
    },
    proc_exit: (code) => assert.fail(`the program ended with ${code}: ${output[2]}`),
    random_get: (pointer, length) => {
      for (let at = 0; at < length; at += 1) view().setUint8(pointer + at, 256 * dice());
      return 0;
    },
  };
  for (const name of ['fd_read', 'fd_write', 'clock_time_get']) wasi[name] = suspension.import(name, wasi[name]);
  const tick = (which, value) => BigInt.asIntN(64, value * 31n + BigInt(which) + (ticks += 1n));
  const host = { tick: suspension.import('tick', tick, 'i64') };
  ({ exports } = new WebAssembly.Instance(module, { wasi_snapshot_preview1: wasi, host }));
  suspension.attach(exports, exports.memory, exports);
  suspension.call('_start');
  return output;
}
