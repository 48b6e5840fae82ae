;; The guest does everything by itself: it imports the functions of asyncify, and no import of the host suspends.
(module
  (import "asyncify" "start_unwind" (func $start_unwind (param i32)))
  (import "asyncify" "stop_unwind" (func $stop_unwind))
  (import "asyncify" "start_rewind" (func $start_rewind (param i32)))
  (import "asyncify" "stop_rewind" (func $stop_rewind))
  (import "env" "print" (func $print (param i32)))
  (memory (export "memory") 1)

  (global $sleeping (mut i32) (i32.const 0))

  ;; Called twice for each sleep.
  (func $sleep (param $buffer i32)
    (if (global.get $sleeping)
      (then
        (call $stop_rewind)
        (global.set $sleeping (i32.const 0)))
      (else
        (global.set $sleeping (i32.const 1))
        (i32.store (local.get $buffer) (i32.add (local.get $buffer) (i32.const 8)))
        (i32.store offset=4 (local.get $buffer) (i32.add (local.get $buffer) (i32.const 1024)))
        (call $start_unwind (local.get $buffer)))))

  (func $work (param $n i32) (result i32)
    (local $sum i32)
    (call $print (i32.add (i32.const 100) (local.get $n)))
    (if (local.get $n)
      (then (local.set $sum (call $work (i32.sub (local.get $n) (i32.const 1))))))
    (call $sleep (i32.const 16))
    (call $print (i32.add (i32.const 200) (local.get $n)))
    (i32.add (local.get $sum) (local.get $n)))

  ;; Neither unwound nor rewound: it calls what ends the one and begins the other.
  (func (export "run") (param $n i32) (result i32)
    (local $result i32)
    (local.set $result (call $work (local.get $n)))
    (block $done
      (loop $again
        (br_if $done (i32.eqz (global.get $sleeping)))
        (call $stop_unwind)
        (call $print (i32.const 0))
        (call $start_rewind (i32.const 16))
        (local.set $result (call $work (local.get $n)))
        (br $again)))
    (local.get $result)))
