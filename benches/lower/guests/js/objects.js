// Objects, classes, closures, maps: allocation and property look-up.
(() => {
  class Point {
    constructor(x, y) {
      this.x = x;
      this.y = y;
    }
    plus(other) {
      return new Point(this.x + other.x, this.y - other.y);
    }
    get norm() {
      return this.x * this.x + this.y * this.y;
    }
  }
  const seen = new Map();
  let point = new Point(1, 2);
  let total = 0;
  for (let i = 0; i < 40000; i++) {
    point = point.plus({ x: i % 7, y: i % 5 });
    if (point.norm > 1e6) point = new Point(1, i % 3);
    const key = `k${i % 100}`;
    seen.set(key, (seen.get(key) ?? 0) + point.x);
    total += Object.keys({ a: i, b: point, ...{ c: 1 } }).length;
  }
  return total + [...seen.values()].reduce((a, b) => a + b, 0);
})()
