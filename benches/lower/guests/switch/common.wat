;; What all have in common. Task `k` keeps its handle at 1024 + 8 k; its stack is one of those from 64 KiB on.

(memory (export "memory") 512)
(global $stacks i32 (i32.const 65536))
(global $tasks (mut i32) (i32.const 0))
(global $live (mut i32) (i32.const 0))
(global $depth (mut i32) (i32.const 0))
;; Whether the tasks are to return.
(global $over (mut i32) (i32.const 0))
;; Of what they returned.
(global $hash (mut i32) (i32.const 0))

(func $configure (param $tasks i32) (param $live i32) (param $depth i32)
  (global.set $tasks (local.get $tasks))
  (global.set $live (local.get $live))
  (global.set $depth (local.get $depth))
  (global.set $over (i32.const 0))
  (global.set $hash (i32.const 0)))

(func $task_of (param $task i32) (result i32)
  (i32.add (i32.const 1024) (i32.mul (local.get $task) (i32.const 8))))

(func $next_of (param $task i32) (result i32)
  (local.set $task (i32.add (local.get $task) (i32.const 1)))
  (select (i32.const 0) (local.get $task) (i32.eq (local.get $task) (global.get $tasks))))

(func $descend (param $task i32) (result i32)
  (if (i32.eqz (global.get $live)) (then (return (call $rec0 (global.get $depth) (local.get $task)))))
  (if (i32.eq (global.get $live) (i32.const 8))
    (then (return (call $rec8 (global.get $depth) (local.get $task)))))
  (call $rec32 (global.get $depth) (local.get $task)))
