// try, catch and finally around calls that suspend; exceptions of the host and through the host.
function attempt(n) {
  const trace = [];
  for (let i = 0; i < 4; i += 1) {
    try {
      try {
        trace.push('try' + host(i));
        if (i === n) hostThrow(new Error('from host ' + i));
        if (i === n + 1) throw new TypeError(host('from script'));
        if (i === n + 2) continue;
        if (i === n + 3) return trace.concat('return').join();
      } catch (error) {
        trace.push(hostUpper(error.message));
        if (i === 2) throw error;
      } finally {
        trace.push('finally' + host(i));
      }
    } catch (outer) {
      trace.push('outer ' + host(outer.constructor.name));
    }
  }
  return trace.join();
}
for (let n = -3; n < 4; n += 1) print(attempt(n));
print(hostEval('try { hostThrow("inner") } catch (e) { e + host("!") }'));
try {
  hostEval('host(1); throw new SyntaxError("out of nested code")');
} catch (error) {
  print(error.name + ': ' + host(error.message));
}
function overflow(n) {
  return overflow(host(n) + 1) + 1;
}
try {
  overflow(0);
} catch (error) {
  print(error instanceof RangeError || error instanceof InternalError ? 'too deep' : String(error));
}
const closed = [];
const iterator = { [Symbol.iterator]() { return { next: () => ({ value: host(1), done: false }), return: () => (closed.push(host('closed')), {}) }; } };
try {
  for (const one of iterator) hostThrow('leaves the loop');
} catch (error) {
  closed.push(error);
}
print(closed.join());
hostThrow(new EvalError('the end'));
