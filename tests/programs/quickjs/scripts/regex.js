// The regular expression engine, fed by and feeding functions that suspend.
const log = 'GET /a/b?x=1 200 12ms\nPOST /c 404 7ms\nGET /long/path/here?y=2&z=3 500 130ms\n';
for (const match of log.matchAll(/^(?<verb>[A-Z]+) (?<path>[^ ?]+)(?:\?(?<query>\S+))? (?<status>\d+) (\d+)ms$/gm)) {
  print([match.groups.verb, hostUpper(match.groups.path), host(match.groups.query ?? 'none'), hostNumber(Number(match[5])), match.index].join(' '));
}
const sticky = /(\w)(\d?)/y;
let result = [];
while (sticky.lastIndex < 9) {
  const match = sticky.exec(host('a1b2c3d4e'));
  if (match === null) break;
  result.push(host(match[0]));
}
print(result.join());
print('aBcD'.split(/(?=[A-Z])/).map((part) => hostUpper(part)).join('|'));
class Counting extends RegExp {
  exec(text) {
    const match = super.exec(host(text));
    if (match !== null) match[0] = hostUpper(match[0]);
    return match;
  }
}
print(String('xaxbx'.match(new Counting('[ab]', 'g'))));
print('xaxbx'.replace(new Counting('[ab]', 'g'), (m) => `<${host(m)}>`) + new Counting('q').test('q'));
print(/(a+)+b/.test(host('aaaaaaaaaaaaaaab')) + ' ' + /^(?:(a)|b)*$/.exec(host('aabba')).join());
print('\u{1f600}x\u{1f600}'.replace(/./gu, (c) => hostNumber(c.codePointAt(0))));
/(?<=\$)\d+/.exec(host('costs $42'))[0] + /\bfoo\b/i[Symbol.search](host('a Foo b'));
