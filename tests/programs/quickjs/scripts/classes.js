// Constructors, fields, static blocks, super and private names around host calls.
class Shape {
  static count = host(0);
  static { Shape.count += hostNumber(1); }
  #id = hostNumber(Shape.count++);
  label = host('label');
  constructor(name) { this.name = hostUpper(name); }
  get id() { return this.#id; }
  area() { return host(0); }
  static compare(a, b) { return hostCompare(a.area(), b.area()); }
  toString() { return `${this.name}#${this.#id}(${this.area()})`; }
}
class Square extends Shape {
  side = host(this.label.length);
  constructor(name, side) { super(host(name)); this.side = hostNumber(side) - 1; }
  area() { return super.area() + this.side ** 2; }
}
class Circle extends Square {
  area() { return Math.round(super.area() * 3.14159); }
  static [Symbol.hasInstance](value) { return host(value.name === 'ROUND'); }
}
const shapes = [new Square('big', 5), new Circle('round', 1), new Square('small', 1), new Shape('none')];
print(shapes.sort(Shape.compare).join(' '));
print(shapes.map((shape) => [shape instanceof Circle, shape.id, shape.label].join(':')).join(' '));
const Mixed = ((Base) => class extends Base { area() { return hostNumber(super.area()); } })(Circle);
print(String(new Mixed(host('mixed'), 2)));
class Lazy extends (host(1), Array) { constructor(...items) { super(); for (const item of items) this.push(host(item)); } }
print(new Lazy(1, 2, 3).map((n) => hostNumber(n)).join() + Lazy.from([4, 5], (n) => host(n)).length);
function Old(x) { if (!new.target) return new Old(host(x)); this.x = x; }
Old.prototype.twice = function () { return hostNumber(this.x); };
Old(20).twice() + Reflect.construct(Old, [host(1)]).twice();
