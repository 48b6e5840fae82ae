;; suspending: env.named
;; An import suspends although nobody said that it may.
(module
  (import "env" "named" (func $named (result i32)))
  (import "env" "unnamed" (func $unnamed (result i32)))
  (memory (export "memory") 1)
  (func $inner (param i32) (result i32)
    (i32.add (call $unnamed) (local.get 0)))
  (func (export "left_alone") (param i32) (result i32)
    (i32.mul (call $inner (local.get 0)) (i32.const 3)))
  (func (export "mixed") (param i32) (result i32)
    (i32.add (call $named) (i32.mul (call $inner (local.get 0)) (i32.const 3)))))
