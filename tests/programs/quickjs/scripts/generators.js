// Generators keep frames of the interpreter alive, while the interpreter itself is suspended.
function* numbers(limit) {
  for (let n = 0; n < limit; n += 1) {
    const sent = yield host(n);
    if (sent !== undefined) print('sent ' + host(sent));
  }
  return 'end';
}
function* both() {
  const result = yield* numbers(3);
  print(hostUpper(result));
  yield* [1, 2].map((n) => hostNumber(n));
  try {
    yield 'in try';
  } finally {
    print('finally ' + host('x'));
  }
}
print([...both()].join());
const run = numbers(5);
print(JSON.stringify([run.next(), run.next('a'), run.next('b'), run.return(host('r')), run.next()]));
const left = both();
for (const value of left) if (value === 5) break;
const [first, , third] = both();
print(first + ' ' + third);
function* tree(depth) {
  if (depth === 0) return;
  yield* tree(depth - 1);
  yield host(depth);
  yield* tree(depth - 1);
}
print([...tree(5)].join(''));
const thrown = both();
thrown.next();
try {
  thrown.throw(new RangeError(host('thrown in')));
} catch (error) {
  print(String(error));
}
async function later(n) {
  const value = await host(n);
  print('later ' + hostNumber(value));
  return value + 1;
}
later(1).then((n) => later(n)).finally(() => print(host('settled')));
(async () => {
  for await (const n of (async function* () { yield host(1); yield await later(10); })()) print('async ' + host(n));
})();
'jobs follow';
