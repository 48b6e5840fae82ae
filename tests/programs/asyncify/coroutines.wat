;; suspending: env.yield
;; Sequences of numbers; the host resumes several of them in any order.
(module
  (import "env" "yield" (func $yield (param i32 i32)))
  (memory (export "memory") 2)

  ;; start, start + step, start + 2 step, ...: yields to the host `count` times.
  (func (export "linear") (param $id i32) (param $count i32) (result i32)
    (local $value i32)
    (local.set $value (local.get $id))
    (block $done
      (loop $again
        (br_if $done (i32.eqz (local.get $count)))
        (call $yield (local.get $id) (local.get $value))
        (local.set $value (i32.add (local.get $value) (i32.const 10)))
        (local.set $count (i32.sub (local.get $count) (i32.const 1)))
        (br $again)))
    (local.get $value))

  (func (export "exponential") (param $id i32) (param $count i32) (result i32)
    (local $value i32)
    (local.set $value (local.get $id))
    (block $done
      (loop $again
        (br_if $done (i32.eqz (local.get $count)))
        (call $yield (local.get $id) (local.get $value))
        (local.set $value (i32.mul (local.get $value) (i32.const 2)))
        (local.set $count (i32.sub (local.get $count) (i32.const 1)))
        (br $again)))
    (local.get $value))

  ;; The numbers of a tree, left to right: each yield is at another depth.
  (func $tree (export "tree") (param $id i32) (param $depth i32) (result i32)
    (local $left i32)
    (if (i32.eqz (local.get $depth))
      (then (return (i32.const 0))))
    (local.set $left (call $tree (local.get $id) (i32.sub (local.get $depth) (i32.const 1))))
    (call $yield (local.get $id) (i32.add (local.get $depth) (local.get $left)))
    (i32.add
      (i32.const 1)
      (i32.add (local.get $left) (call $tree (local.get $id) (i32.sub (local.get $depth) (i32.const 1)))))))
