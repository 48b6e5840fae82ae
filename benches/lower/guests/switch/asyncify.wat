;; The same by the ABI of Binaryen's asyncify, driven from inside the module: the driver rewinds each task in turn. A task
;; is Binaryen's data structure {position, end}.

(import "asyncify" "start_unwind" (func $start_unwind (param i32)))
(import "asyncify" "stop_unwind" (func $stop_unwind))
(import "asyncify" "start_rewind" (func $start_rewind (param i32)))
(import "asyncify" "stop_rewind" (func $stop_rewind))

;; Whether `$pause` is called again, by a rewinding; and whether the task that was resumed has paused.
(global $resuming (mut i32) (i32.const 0))
(global $paused (mut i32) (i32.const 0))

(func $setup (export "setup") (param $tasks i32) (param $live i32) (param $depth i32) (param $stack i32)
  (local $task i32) (local $data i32) (local $limit i32)
  (call $configure (local.get $tasks) (local.get $live) (local.get $depth))
  (loop $next
    (local.set $data (call $task_of (local.get $task)))
    (local.set $limit
      (i32.add (global.get $stacks) (i32.mul (local.get $task) (local.get $stack))))
    (i32.store (local.get $data) (local.get $limit))
    (i32.store offset=4 (local.get $data) (i32.add (local.get $limit) (local.get $stack)))
    (call $main (local.get $task))
    (call $stop_unwind)
    (local.set $task (i32.add (local.get $task) (i32.const 1)))
    (br_if $next (i32.lt_u (local.get $task) (local.get $tasks)))))

(func $resume (param $task i32)
  (global.set $resuming (i32.const 1))
  (global.set $paused (i32.const 0))
  (call $start_rewind (call $task_of (local.get $task)))
  (call $main (local.get $task))
  (if (global.get $paused) (then (call $stop_unwind))))

(func (export "go") (param $rounds i32)
  (loop $again
    (call $round)
    (local.set $rounds (i32.sub (local.get $rounds) (i32.const 1)))
    (br_if $again (local.get $rounds))))

(func $round
  (local $task i32)
  (loop $next
    (call $resume (local.get $task))
    (local.set $task (call $next_of (local.get $task)))
    (br_if $next (local.get $task))))

(func $finish (export "finish") (result i32)
  (global.set $over (i32.const 1))
  (call $round)
  (global.get $hash))

(func (export "once") (result i32)
  (call $finish))

(func $main (param $task i32)
  (local $result i32)
  (local.set $result (call $descend (local.get $task)))
  (global.set $hash (i32.add (i32.mul (global.get $hash) (i32.const 31)) (local.get $result))))

(func $pause (param $task i32)
  (if (global.get $resuming)
    (then
      (global.set $resuming (i32.const 0))
      (call $stop_rewind))
    (else
      (global.set $paused (i32.const 1))
      (call $start_unwind (call $task_of (local.get $task))))))

(func $leaf (param $task i32) (result i32)
  (local $count i32)
  (loop $again
    (call $pause (local.get $task))
    (local.set $count (i32.add (local.get $count) (i32.const 1)))
    (br_if $again (i32.eqz (global.get $over))))
  (i32.add (local.get $task) (i32.ne (local.get $count) (i32.const 0))))
