// A comparator that suspends, inside the sort that C does.
let state = 12345;
const next = () => (state = (state * 1103515245 + 12345) % 2147483648);
const numbers = Array.from({ length: 60 }, () => next() % 1000);
numbers.sort((a, b) => hostCompare(a, b));
print(numbers.join());
const words = 'the quick brown fox jumps over the lazy dog and runs away from all of it'.split(' ');
words.sort((a, b) => (host(a) < host(b) ? -1 : a > b ? 1 : 0));
print(words.join(' '));
const rows = words.map((word, index) => ({ word, index, key: word.length }));
rows.sort((a, b) => hostCompare(b.key, a.key));
print(rows.map(({ word, index }) => word + index).join(' '));
const typed = Float64Array.from(numbers, (n) => Math.sin(n));
typed.sort((a, b) => hostCompare(b, a));
typed.slice(0, 20).join();
