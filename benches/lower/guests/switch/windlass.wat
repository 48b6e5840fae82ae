;; Tasks in a ring, by the ABI of docs/abi.md. One round: each task suspends once and is resumed once. Fields of a module;
;; src/guests.rs adds `$descend`, which calls `$leaf` at the bottom, and `$task_of`, `$next_of`.

(import "windlass" "prepare" (func $prepare (param i32 i32 i32 i32) (result i32)))
(import "windlass" "switch" (func $switch (param i32 i32)))
(import "windlass" "run" (func $run (param i32)))
(import "windlass" "leave" (func $leave (param i32)))

(global $__stack_pointer (export "__stack_pointer") (mut i32) (i32.const 65536))
(table (export "__indirect_function_table") 2 2 funcref)
(elem (i32.const 1) $main)
(@custom "windlass.abi" "\01\00\00\00")

;; Rounds to go until task 0 leaves.
(global $left (mut i32) (i32.const 0))

(func (export "setup") (param $tasks i32) (param $live i32) (param $depth i32) (param $stack i32)
  (local $task i32) (local $limit i32)
  (call $configure (local.get $tasks) (local.get $live) (local.get $depth))
  (loop $next
    (local.set $limit
      (i32.add (global.get $stacks) (i32.mul (local.get $task) (local.get $stack))))
    (i32.store (call $task_of (local.get $task))
      (call $prepare (local.get $limit) (i32.add (local.get $limit) (local.get $stack))
        (i32.const 1) (local.get $task)))
    (local.set $task (i32.add (local.get $task) (i32.const 1)))
    (br_if $next (i32.lt_u (local.get $task) (local.get $tasks)))))

(func $go (export "go") (param $rounds i32)
  (global.set $left (local.get $rounds))
  (call $run (i32.load (call $task_of (i32.const 0)))))

(func $finish (export "finish") (result i32)
  (global.set $over (i32.const 1))
  (call $run (i32.load (call $task_of (i32.const 0))))
  (global.get $hash))

(func (export "once") (result i32)
  (call $go (i32.const 1))
  (call $finish))

;; A task; the one after it continues when it is over, the host after the last.
(func $main (param $task i32) (result i32)
  (local $result i32)
  (local.set $result (call $descend (local.get $task)))
  (global.set $hash (i32.add (i32.mul (global.get $hash) (i32.const 31)) (local.get $result)))
  (if (i32.eqz (call $next_of (local.get $task))) (then (return (i32.const 0))))
  (i32.load (call $task_of (call $next_of (local.get $task)))))

(func $leaf (param $task i32) (result i32)
  (local $own i32) (local $next i32) (local $count i32)
  (local.set $own (call $task_of (local.get $task)))
  (local.set $next (call $task_of (call $next_of (local.get $task))))
  (loop $again
    (if (i32.ne (local.get $own) (local.get $next))
      (then (call $switch (local.get $own) (i32.load (local.get $next)))))
    (if (i32.eqz (local.get $task))
      (then
        (global.set $left (i32.sub (global.get $left) (i32.const 1)))
        (if (i32.eqz (global.get $left)) (then (call $leave (local.get $own))))))
    (local.set $count (i32.add (local.get $count) (i32.const 1)))
    (br_if $again (i32.eqz (global.get $over))))
  (i32.add (local.get $task) (i32.ne (local.get $count) (i32.const 0))))
