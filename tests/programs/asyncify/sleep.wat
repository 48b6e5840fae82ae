;; suspending: env.sleep env.sleep_wide env.call_back
;; Every shape of stack that a sleep can be in. Each export ends in a number that depends on all that had to live on.
(module
  (import "env" "sleep" (func $sleep (param i32) (result i32)))
  (import "env" "sleep_wide" (func $sleep_wide (param i64 f32 f64) (result f64)))
  (import "env" "call_back" (func $call_back (param i32) (result i32)))
  (import "env" "note" (func $note (param i32)))

  (type $unary (func (param i32) (result i32)))
  (table (export "table") 8 funcref)
  (elem (i32.const 0) $double $sleepy $twice $export_recursion $sleep $tail)
  (memory (export "memory") 2)
  (global $calls (mut i32) (i32.const 0))

  ;; Never sleeps.
  (func $double (export "plain") (param i32) (result i32)
    (i32.mul (local.get 0) (i32.const 2)))

  (func $sleepy (export "once") (param i32) (result i32)
    (i32.add (call $sleep (local.get 0)) (local.get 0)))

  ;; The call is the last thing that is done: nothing has to be kept.
  (func $tail (export "tail") (param i32) (result i32)
    (call $sleep (local.get 0)))

  (func $twice (export "twice") (param i32) (result i32)
    (local $first i32)
    (local.set $first (call $sleep (local.get 0)))
    (i32.sub (i32.mul (local.get $first) (i32.const 10)) (call $sleep (local.get $first))))

  ;; Sleeps whose results stay on the operand stack while the next one sleeps.
  (func (export "operands") (param i32) (result i32)
    (local.get 0)
    (i32.const 7)
    (call $sleep (i32.const 1))
    (local.tee 0 (i32.add (local.get 0) (i32.const 1)))
    (call $sleepy (call $sleep (i32.const 2)))
    (i32.mul)
    (i32.sub)
    (i32.add)
    (i32.xor))

  (func (export "loop") (param $n i32) (result i32)
    (local $i i32) (local $sum i32)
    (loop $again
      (if (i32.lt_u (local.get $i) (local.get $n))
        (then
          (local.set $sum (i32.add (i32.mul (local.get $sum) (i32.const 3)) (call $sleep (local.get $i))))
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br $again))))
    (local.get $sum))

  ;; Loops in loops, and sleeps in the condition, in the middle and behind.
  (func (export "loops") (param $n i32) (result i32)
    (local $i i32) (local $j i32) (local $sum i32)
    (loop $outer
      (local.set $j (i32.const 0))
      (block $done
        (loop $inner
          (br_if $done (i32.gt_s (call $sleep (local.get $j)) (local.get $n)))
          (local.set $sum (i32.add (local.get $sum) (i32.mul (local.get $i) (local.get $j))))
          (if (i32.and (local.get $j) (i32.const 1))
            (then (local.set $sum (i32.add (local.get $sum) (call $sleepy (local.get $i)))))
            (else (call $note (local.get $sum))))
          (local.set $j (i32.add (local.get $j) (i32.const 1)))
          (br_if $inner (i32.lt_u (local.get $j) (local.get $n)))))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $outer (i32.lt_u (call $sleep (local.get $i)) (local.get $n))))
    (i32.add (local.get $sum) (call $sleep (local.get $i))))

  ;; One arm sleeps, the other does not, and blocks have values.
  (func (export "branches") (param $x i32) (result i32)
    (i32.add
      (if (result i32) (local.get $x)
        (then (call $sleep (i32.const 3)))
        (else (i32.const 4)))
      (block $out (result i32)
        (drop (br_if $out (call $sleep (i32.const 5)) (i32.eq (local.get $x) (i32.const 1))))
        (i32.mul
          (block (result i32)
            (if (result i32) (call $sleep (local.get $x))
              (then (i32.const 1))
              (else (call $twice (i32.const 2)))))
          (call $sleep (i32.const 6))))))

  (func (export "switch") (param $x i32) (result i32)
    (block $three
      (block $two
        (block $one
          (block $zero
            (br_table $zero $one $two $three (call $sleep (local.get $x))))
          (return (call $sleepy (i32.const 10))))
        (drop (call $sleep (i32.const 20))))
      (return (i32.add (i32.const 100) (call $sleep (i32.const 30)))))
    (i32.const 40))

  ;; On the way down, at the bottom and on the way up.
  (func $export_recursion (export "recursion") (param $n i32) (result i32)
    (local $before i32)
    (local.set $before (call $sleep (local.get $n)))
    (i32.add
      (i32.mul (local.get $before) (i32.const 2))
      (i32.add
        (if (result i32) (i32.eqz (local.get $n))
          (then (call $sleep (i32.const 99)))
          (else (call $export_recursion (i32.sub (local.get $n) (i32.const 1)))))
        (call $sleep (local.get $n)))))

  ;; Sleeps at the bottom only; the stack is what there is.
  (func $deep (export "deep") (param $n i32) (result i32)
    (if (result i32) (i32.eqz (local.get $n))
      (then (call $sleep (i32.const 5)))
      (else
        (i32.add (call $deep (i32.sub (local.get $n) (i32.const 1))) (local.get $n)))))

  ;; Two functions that call each other.
  (func $even (export "even") (param $n i32) (result i32)
    (if (result i32) (i32.eqz (local.get $n))
      (then (call $sleep (i32.const 1)))
      (else (i32.xor (call $odd (i32.sub (local.get $n) (i32.const 1))) (local.get $n)))))
  (func $odd (param $n i32) (result i32)
    (local $kept i32)
    (local.set $kept (call $sleep (local.get $n)))
    (if (result i32) (i32.eqz (local.get $n))
      (then (i32.const 0))
      (else (i32.add (call $even (i32.sub (local.get $n) (i32.const 1))) (local.get $kept)))))

  (func (export "indirect") (param $which i32) (result i32)
    (i32.add
      (call_indirect (type $unary) (i32.const 11) (local.get $which))
      (i32.mul (i32.const 1000) (call_indirect (type $unary) (local.get $which) (local.get $which)))))

  ;; Numbers of all types live across the sleep, and are its arguments and result.
  (func (export "wide") (param $i i32) (result f64)
    (local $l i64) (local $f f32) (local $d f64)
    (local.set $l (i64.shl (i64.extend_i32_s (local.get $i)) (i64.const 40)))
    (local.set $f (f32.div (f32.const 1) (f32.convert_i32_s (local.get $i))))
    (local.set $d (f64.sqrt (f64.convert_i32_s (local.get $i))))
    (local.set $d
      (f64.add (local.get $d) (call $sleep_wide (local.get $l) (local.get $f) (local.get $d))))
    (f64.add
      (f64.add (local.get $d) (f64.convert_i64_s (local.get $l)))
      (f64.mul
        (f64.promote_f32 (local.get $f))
        (call $sleep_wide (i64.add (local.get $l) (i64.const 1)) (local.get $f) (local.get $d)))))

  ;; What is done before a sleep is done once.
  (func (export "effects") (param $n i32) (result i32)
    (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
    (i32.store (i32.const 1024) (i32.add (i32.load (i32.const 1024)) (call $sleep (local.get $n))))
    (call $note (global.get $calls))
    (drop (call $sleepy (local.get $n)))
    (call $note (i32.load (i32.const 1024)))
    (i32.add (global.get $calls) (i32.load (i32.const 1024))))

  ;; A result that nobody wants, and an early return.
  (func (export "returns") (param $n i32) (result i32)
    (drop (call $sleep (i32.const 1)))
    (if (i32.and (local.get $n) (i32.const 1)) (then (return (call $sleepy (local.get $n)))))
    (if (call $sleep (local.get $n)) (then (return (local.get $n))))
    (call $double (call $sleep (i32.const 2))))

  ;; The host is called, and calls the guest, which sleeps.
  (func (export "through_host") (param $n i32) (result i32)
    (local $kept i32)
    (local.set $kept (i32.mul (local.get $n) (i32.const 3)))
    (i32.add (call $call_back (local.get $n)) (local.get $kept)))

  ;; The same, but the sleep is behind the host's call.
  (func (export "beside_host") (param $n i32) (result i32)
    (local $kept i32)
    (local.set $kept (call $sleep (local.get $n)))
    (i32.add
      (i32.add (call $call_back (local.get $n)) (local.get $kept))
      (call $sleep (local.get $kept)))))
