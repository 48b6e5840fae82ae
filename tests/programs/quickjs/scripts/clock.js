// The clock and the time zone are imports that suspend by themselves.
const start = Date.now();
let reads = 0;
while (Date.now() < start + 20) reads += 1;
print(String(reads));
const date = new Date(start - (start % 1000));
print([date.getHours(), date.getMinutes(), date.getTimezoneOffset(), date.toISOString()].join());
print(date.toString());
const moved = new Date(2024, host(1), host(29), 12);
moved.setMonth(hostNumber(3));
print(moved.toISOString() + ' ' + moved.getDay());
const times = [new Date(3), new Date(1), new Date(2)].sort((a, b) => hostCompare(a.getTime(), b.getTime()));
print(times.map((time) => time.getMilliseconds()).join());
print(`${new Date({ valueOf: () => host(86400000) }).getDate()} ${new Date(host('2020-02-30')).getTime()}`);
Date.now() - start;
