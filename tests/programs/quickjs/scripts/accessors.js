// Getters, setters and conversions that suspend: C calls them out of the middle of property access and arithmetic.
const log = [];
const point = {
  get x() { return host(3); },
  get y() { return hostNumber(2); },
  set x(value) { log.push('x=' + host(value)); },
  get [host('computed')]() { return 'c' + hostNumber(0); },
};
print([point.x * point.y, point.computed, (point.x += 4)].join());
const money = {
  valueOf() { return hostNumber(10); },
  toString() { return hostUpper('money'); },
  [Symbol.toPrimitive](hint) { return hint === 'string' ? host('primitive') : hint === 'number' ? hostNumber(1) : host('default'); },
};
delete money[Symbol.toPrimitive];
print([money + 1, money * 2, `${money}`, [money] + '', money > 20, money == 21].join());
const key = { toString() { return host('key'); } };
const table = { key: 'found', [key]: 'again' };
print(table[key] + (key in table));
print([1, 2, 3].includes({ valueOf: () => host(2) }) + ' ' + Math.max({ valueOf: () => hostNumber(4) }, 5, host(6)));
print(Object.entries(point).map(([name, value]) => name + host(value)).join());
print(JSON.stringify({ ...point, ...{ get z() { return host('z'); } } }));
print('abc'.padEnd({ valueOf: () => hostNumber(3) }, { toString: () => host('-') }));
const lengthy = { get length() { return host(3); }, get 0() { return host('a'); }, 1: 'b', get 2() { return hostUpper('c'); } };
print(Array.prototype.map.call(lengthy, (value) => host(value)).join('') + Array.from(lengthy).length);
Object.defineProperty(globalThis, 'magic', { get: () => hostNumber(20), configurable: true });
print(String(magic + magic));
log.join();
