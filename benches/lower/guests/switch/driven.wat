;; The same by the ABI of Binaryen's asyncify, driven by the host: an import suspends, and the host unwinds and rewinds each
;; task by the exports that the pass adds.

(import "env" "pause" (func $pause (param i32)))

(func (export "setup") (param $tasks i32) (param $live i32) (param $depth i32) (param $stack i32)
  (local $task i32) (local $data i32) (local $limit i32)
  (call $configure (local.get $tasks) (local.get $live) (local.get $depth))
  (loop $next
    (local.set $data (call $task_of (local.get $task)))
    (local.set $limit
      (i32.add (global.get $stacks) (i32.mul (local.get $task) (local.get $stack))))
    (i32.store (local.get $data) (local.get $limit))
    (i32.store offset=4 (local.get $data) (i32.add (local.get $limit) (local.get $stack)))
    (local.set $task (i32.add (local.get $task) (i32.const 1)))
    (br_if $next (i32.lt_u (local.get $task) (local.get $tasks)))))

;; A task. It pauses with its handle.
(func (export "main") (param $task i32)
  (local $result i32)
  (local.set $result (call $descend (local.get $task)))
  (global.set $hash (i32.add (i32.mul (global.get $hash) (i32.const 31)) (local.get $result))))

;; What the functions of the ABI call a task by.
(func (export "handle") (param $task i32) (result i32)
  (call $task_of (local.get $task)))

;; From now on, tasks that are resumed return.
(func (export "end")
  (global.set $over (i32.const 1)))

(func (export "hash") (result i32)
  (global.get $hash))

(func $leaf (param $task i32) (result i32)
  (local $count i32)
  (loop $again
    (call $pause (call $task_of (local.get $task)))
    (local.set $count (i32.add (local.get $count) (i32.const 1)))
    (br_if $again (i32.eqz (global.get $over))))
  (i32.add (local.get $task) (i32.ne (local.get $count) (i32.const 0))))
