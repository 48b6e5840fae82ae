// Map and Set are walked while the functions that they call suspend and change them.
const map = new Map([['a', 1], ['b', 2], ['c', 3]]);
map.forEach((value, key) => {
  if (map.size < 8) map.set(host(key + key), hostNumber(value));
  if (key === 'b') map.delete(host('c'));
});
print([...map].map(([key, value]) => key + value).join());
const set = new Set([1, 2, 3].map((n) => host(n)));
for (const value of set) {
  if (value < 20) set.add(hostNumber(value));
  if (value % 2 === 0) set.delete(host(value));
}
print([...set].join());
const walk = map.entries();
walk.next();
print(JSON.stringify([...walk].map(([k, v]) => ({ [host(k)]: host(v) }))));
const grouped = ['apple', 'bob', 'cat', 'antler', 'bird'].reduce((groups, word) => {
  const key = host(word[0]);
  return groups.set(key, [...(groups.get(key) ?? []), hostUpper(word)]);
}, new Map());
print(JSON.stringify(Object.fromEntries(grouped)));
const keys = [{}, {}];
const weak = new WeakMap(keys.map((key, index) => [host(key), hostNumber(index)]));
print(keys.map((key) => weak.get(key)).join());
class Sized extends Map {
  set(key, value) {
    return super.set(host(key), hostNumber(value));
  }
}
[...new Sized([['x', 1], ['y', 2]])].join(';');
