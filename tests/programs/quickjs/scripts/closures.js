// Closures, argument objects and a small interpreter whose loop suspends in its middle.
const counters = [];
for (let i = 0; i < 5; i += 1) counters.push(() => (i += host(1)));
print(counters.map((count) => count() + count()).join());
function sloppy(a, b) {
  arguments[0] = host(9);
  return [a, b, arguments.length, hostNumber(arguments[1])].join();
}
print(sloppy(1, 2, 3));
const memo = ((cache) => (n) => cache[n] ?? (cache[n] = n < 2 ? host(n) : memo(n - 1) + memo(n - 2)))({});
print(String(memo(60)));
const compose = (...functions) => (x) => functions.reduceRight((value, f) => f(value), x);
print(String(compose(hostNumber, (x) => x * 3, host)(7)));
const programme = 'push 2 push 3 add dup mul print push 10 loop host dec jnz halt'.split(' ');
const stack = [];
let loop = 0;
for (let at = 0; at < programme.length; at += 1) {
  switch (programme[at]) {
    case 'push': stack.push(host(Number(programme[(at += 1)]))); break;
    case 'add': stack.push(host(stack.pop()) + stack.pop()); break;
    case 'mul': stack.push(stack.pop() * host(stack.pop())); break;
    case 'dup': stack.push(stack[stack.length - 1]); break;
    case 'print': print('prints ' + stack[stack.length - 1]); break;
    case 'loop': loop = at; break;
    case 'host': stack.unshift(hostNumber(stack[stack.length - 1])); break;
    case 'dec': stack.push(stack.pop() - 1); break;
    case 'jnz': if (host(stack[stack.length - 1]) !== 0) at = loop; break;
    case 'halt': break;
  }
}
print(stack.join());
const tagged = (strings, ...values) => strings.raw.map((part, i) => part + (i < values.length ? host(values[i]) : '')).join('');
print(tagged`a${host(1)}\n${hostNumber(2)}c`);
const curry = (f, ...args) => (args.length >= f.length ? f(...args) : (...more) => curry(f, ...args, ...more));
print(String(curry((a, b, c) => host(a) + host(b) * host(c))(1)(2)(3)));
new Function('x', 'return host(x) + hostNumber(x)')(5) + (0, eval)('host("indirect")');
