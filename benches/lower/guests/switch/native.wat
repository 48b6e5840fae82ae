;; The same by the engine's own stack switching.

(type $body (func))
(type $task (cont $body))
(tag $pause)
(table $tasks 1024 (ref null $task))
(elem declare func $main)

;; The task that starts.
(global $starting (mut i32) (i32.const 0))

(func (export "setup") (param $tasks i32) (param $live i32) (param $depth i32) (param $stack i32)
  (local $task i32)
  (call $configure (local.get $tasks) (local.get $live) (local.get $depth))
  (loop $next
    (table.set $tasks (local.get $task) (cont.new $task (ref.func $main)))
    (global.set $starting (local.get $task))
    (call $resume (local.get $task))
    (local.set $task (i32.add (local.get $task) (i32.const 1)))
    (br_if $next (i32.lt_u (local.get $task) (local.get $tasks)))))

(func $resume (param $task i32)
  (block $over
    (table.set $tasks (local.get $task)
      (block $paused (result (ref $task))
        (resume $task (on $pause $paused) (table.get $tasks (local.get $task)))
        (br $over)))))

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

(func $main
  (local $result i32)
  (local.set $result (call $descend (global.get $starting)))
  (global.set $hash (i32.add (i32.mul (global.get $hash) (i32.const 31)) (local.get $result))))

(func $leaf (param $task i32) (result i32)
  (local $count i32)
  (loop $again
    (suspend $pause)
    (local.set $count (i32.add (local.get $count) (i32.const 1)))
    (br_if $again (i32.eqz (global.get $over))))
  (i32.add (local.get $task) (i32.ne (local.get $count) (i32.const 0))))
