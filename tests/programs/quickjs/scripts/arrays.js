// Each method of arrays that takes a callback, with one that suspends.
const list = [5, 3, 8, 1, 9, 2];
const steps = [
  list.map((n) => hostNumber(n)),
  list.filter((n) => host(n) % 2),
  list.reduce((sum, n) => sum + host(n), ''),
  list.reduceRight((sum, n) => host(sum) - n),
  list.find((n) => host(n) > 5),
  list.findIndex((n) => host(n) > 8),
  list.findLast((n) => host(n) > 5),
  list.some((n) => host(n) === 1),
  list.every((n) => host(n) < 9),
  list.flatMap((n) => [host(n), [n]]),
  Array.from(list, (n) => hostNumber(n)),
  Array.of(host(1), host(2)),
  list.concat({ length: 2, 0: host('x'), 1: 'y', [Symbol.isConcatSpreadable]: host(true) }),
  [...list.keys()].map((n) => host(n)),
  list.slice(host(1), host(-1)),
  list.join({ toString: () => host('+') }),
  list.indexOf(host(8)),
  list.at(host(-2)),
];
for (const step of steps) print(JSON.stringify(step));
list.forEach((n, index, all) => { if (host(index) === 1) all.splice(2, 2, hostNumber(n)); });
print(list.join());
const sparse = [1, , 3];
print(sparse.map((n) => host(n)).length + ' ' + Object.keys(sparse.map((n) => host(n))));
const [a = hostNumber(1), { b = host('default'), ...rest } = {}] = [undefined, { c: 1, d: host(2) }];
print([a, b, JSON.stringify(rest)].join());
const spread = (...all) => all.reduce((x, y) => x + y);
print(String(spread(...list.map((n) => host(n)), ...'12', host(1))));
label: for (let i = 0; i < 4; i += 1) {
  for (let j = 0; j < 4; j += 1) {
    if (host(j) === 2) continue label;
    if (host(i) === 2) break label;
    print(`${i}${j}`);
  }
}
switch (host(3)) {
  case host(1): print('one');
  case host(3): print('three');
  case host(4): print('falls through');
    break;
  default: print('not here');
}
list.toString();
