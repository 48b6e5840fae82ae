// Typed arrays and their callbacks; numbers of each width live across the suspensions.
const bytes = Uint8Array.from({ length: 16 }, (_, i) => hostNumber(i * 37));
print(bytes.join());
print(bytes.map((b) => host(b) ^ 0x5a).filter((b) => host(b) & 1).join());
const view = new DataView(new ArrayBuffer(32));
view.setFloat64(0, host(Math.PI));
view.setInt32(8, host(-2), true);
view.setBigInt64(16, BigInt(host(-3)) * 0x123456789abcdn);
print([view.getUint8(3), view.getFloat32(0), view.getUint32(8, true), view.getBigUint64(16), view.getInt16({ valueOf: () => host(9) })].join());
print(new Float32Array([1.1, 2.2, 3.3]).reduce((sum, x) => sum + host(x), 0).toFixed(10));
print(String(BigInt64Array.of(1n, -2n, 3n).findLast((n) => host(n) < 0n)));
print(new Int16Array(bytes.buffer).subarray(1, 5).every((n) => host(n) !== 0) + '');
print(Uint8ClampedArray.from([300, -5, 1.5, host(99.5)]).join());
let hash = 0x811c9dc5;
for (const b of bytes) hash = Math.imul(hash ^ host(b), 0x01000193) >>> 0;
print(hash.toString(16));
const big = [1n, 2n, 3n].map((n) => (host(n) << 70n) - n ** 20n);
print(big.join());
bytes.copyWithin({ valueOf: () => host(0) }, 8).fill(host(7), 4, 6).toString();
