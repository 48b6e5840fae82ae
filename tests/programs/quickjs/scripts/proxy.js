// Each trap of a Proxy suspends.
const seen = [];
const trace = (name, value) => (seen.push(host(name)), host(value));
const target = { a: 1, b: { c: 2 } };
const handler = {
  get: (object, name, receiver) => trace('get ' + String(name), Reflect.get(object, name, receiver)),
  set: (object, name, value) => trace('set ' + name, Reflect.set(object, name, hostNumber(value))),
  has: (object, name) => trace('has ' + name, name in object),
  deleteProperty: (object, name) => trace('delete ' + name, delete object[name]),
  ownKeys: (object) => trace('ownKeys', Reflect.ownKeys(object)),
  getOwnPropertyDescriptor: (object, name) => trace('describe ' + name, Reflect.getOwnPropertyDescriptor(object, name)),
  defineProperty: (object, name, what) => trace('define ' + name, Reflect.defineProperty(object, name, what)),
  getPrototypeOf: () => trace('prototype', Array.prototype),
  isExtensible: (object) => trace('extensible', Object.isExtensible(object)),
};
const proxy = new Proxy(target, handler);
proxy.d = 4;
print([proxy.a, proxy.b.c, 'a' in proxy, 'z' in proxy, delete proxy.a, Object.keys(proxy), proxy instanceof Array].join());
print(JSON.stringify(proxy));
Object.defineProperty(proxy, 'e', { value: host('e'), enumerable: true, configurable: true, writable: true });
for (const name in proxy) print(name);
print(Object.isExtensible(proxy) + JSON.stringify({ ...proxy }));
const callable = new Proxy(function (x) { return x; }, {
  apply: (callee, self, args) => hostNumber(callee(...args)),
  construct: (callee, args) => ({ made: host(args.length) }),
});
print(callable(5) + ' ' + new callable(1, 2, 3).made);
with (proxy) print(String(b.c));
seen.join();
