// A reviver and a replacer that suspend, and a toJSON that does.
const document = '{"name":"x","list":[1,2,3,{"deep":{"er":[true,null,"s"]}}],"n":1.5,"date":"2020-01-02"}';
const revived = JSON.parse(document, function (key, value) {
  if (typeof value === 'number') return hostNumber(value);
  if (typeof value === 'string') return hostUpper(value);
  return host(value);
});
print(JSON.stringify(revived));
print(JSON.stringify(revived, (key, value) => (key === 'deep' ? host({ replaced: key }) : host(value)), 2));
const self = { toJSON(key) { return { key: host(key), at: hostNumber(7) }; } };
print(JSON.stringify({ a: self, b: [self, self] }));
try {
  JSON.parse('[1,2,3]', (key, value) => (key === '1' ? hostThrow('reviver') : value));
} catch (error) {
  print('caught ' + error);
}
JSON.stringify(JSON.parse('[[[[1]]]]', (key, value) => (Array.isArray(value) ? value.concat(hostNumber(value.length)) : value)));
