;; A guest without the scheduler, the error door and the sections: the host alone remembers.
(module
  (func (export "_initialize"))
  (func (export "half") (param f32) (result f32) (f32.mul (local.get 0) (f32.const 0.5)))
  (func (export "id") (param i64) (result i64) (local.get 0))
  (func (export "boom") unreachable))
