// Callbacks of String.prototype.replace, with and without groups.
const text = 'one 1 two 22 three 333 four 4444';
print(text.replace(/\d+/g, (digits) => String(hostNumber(Number(digits)))));
print(text.replace(/([a-z])([a-z]*)/g, (_, first, rest) => hostUpper(first) + rest));
print(text.replace(/(?<word>[a-z]+) (?<digits>\d+)/g, (...args) => {
  const { word, digits } = args[args.length - 1];
  return `${host(digits)}:${hostUpper(word)}`;
}));
print('a.b.c'.replaceAll('.', (dot, at) => `[${hostNumber(at)}]`));
print('2024-03-09'.replace(/(\d+)-(\d+)-(\d+)/, (_, y, m, d) => [d, m, y].map((part) => host(part)).join('/')));
class Loud {
  [Symbol.replace](string, by) {
    return hostUpper(string) + host(by);
  }
}
'quiet'.replace(new Loud(), '!');
