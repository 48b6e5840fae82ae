// Host functions that evaluate code, while the calls around them are suspended and resumed; and host functions inside that code.
print(String(hostEval('1 + host(2)')));
print(String(hostEval('hostEval("hostEval(\\"hostNumber(20)\\") + host(1)") + host(100)')));
let depth = 0;
globalThis.descend = (n) => {
  depth = Math.max(depth, n);
  const before = host(n);
  const inner = n === 8 ? 0 : hostEval(`host(1) + descend(${n + 1}) + host(${n})`);
  return before + inner + host(1);
};
print(descend(0) + ' ' + depth);
print(String(hostCall((x) => host(x) + hostCall((y) => hostNumber(y), x + 1), 5)));
const calls = [];
globalThis.visit = (node) => {
  calls.push(host(node.name));
  for (const child of node.children ?? []) hostCall(visit, child);
  return calls.length;
};
print(String(visit({ name: 'a', children: [{ name: 'b', children: [{ name: 'c' }] }, { name: 'd' }] })) + calls.join(''));
print([3, 1, 2].sort((a, b) => hostEval(`hostCompare(${a}, ${b})`)).join());
try {
  hostEval('hostCall(() => { host(1); throw new Error("two hosts up") }, 0)');
} catch (error) {
  print(host(error.message));
}
function* generator() {
  yield hostEval('host("generated")');
  yield hostCall((x) => host(x), 'called');
}
print([...generator()].join());
hostEval('(' + ((n) => [1, 2, 3].map((m) => hostNumber(n * m)).join('-')) + ')')(host(4));
