// Host calls at every depth, on the way down and on the way up.
function fib(n) {
  if (n < 2) return host(n);
  return fib(n - 1) + fib(n - 2);
}
function even(n) {
  return n === 0 ? host(true) : odd(n - 1);
}
function odd(n) {
  return n === 0 ? host(false) : even(n - 1);
}
function ackermann(m, n) {
  if (m === 0) return n + 1;
  if (n === 0) return ackermann(m - 1, 1);
  return ackermann(m - 1, ackermann(m, host(n - 1)));
}
function deep(n) {
  const before = hostNumber(n);
  const below = n === 0 ? 0 : deep(n - 1);
  return hostNumber(before + below) % 1000003;
}
print(String(fib(10)));
print([even(30), odd(30)].join());
print(String(ackermann(2, 3)));
print(String(deep(120)));
[fib(7), even(7), ackermann(1, 9), deep(20)].join();
