;; Two calls, one of them in an arm of an `if`, lowered for size: one body, as two would be larger.
;;
;; It begins with the question whether it is called or resumed. If it is resumed, `entry` is the address of the
;; frame, and the values and the number of the site to go on after, in a local of its own, come from there. An
;; empty block is opened for each place to go on at, so that a branch to it lands there: 0 falls through to the
;; code as it was. The arm is entered if the condition says so, or if the site is in it.
;;
;; The resume function only calls it, with `entry` set, and passes its result on.
;;
;; Before:
;;
;;   (func $f (export "f") (param $a i32) (result i32)
;;       (local.set $a (i32.mul (i32.xor (local.get $a) (i32.shr_u (local.get $a) (i32.const 16))) (i32.const 0x45d9f3b)))
;;       (if (i32.and (local.get $a) (i32.const 1))
;;           (then (local.set $a (call $step (local.get $a)))))
;;       (local.set $a (i32.mul (i32.xor (local.get $a) (i32.shr_u (local.get $a) (i32.const 16))) (i32.const 0x45d9f3b)))
;;       (local.set $a (i32.mul (i32.xor (local.get $a) (i32.shr_u (local.get $a) (i32.const 16))) (i32.const 0x45d9f3b)))
;;       (i32.add (call $step (i32.const 1)) (local.get $a)))

(func $f (type 1) (param $a i32) (result i32)
  (local i32 i32 i32)
  global.get $windlass.entry
  local.tee 1
  if ;; label = @1
    i32.const 0
    global.set $windlass.entry
    local.get 1
    call $windlass.restore.i32x1
    local.set 1
    local.set $a
    global.get $windlass.result.i32.0
    local.set 3
  end
  block (result i32) ;; label = @1
    block ;; label = @2
      block ;; label = @3
        block ;; label = @4
          local.get 1
          br_table 0 (;@4;) 1 (;@3;) 2 (;@2;) 0 (;@4;)
        end
        local.get $a
        local.get $a
        i32.const 16
        i32.shr_u
        i32.xor
        i32.const 73244475
        i32.mul
        local.set $a
        local.get $a
        i32.const 1
        i32.and
        local.set 2
      end
      local.get 2
      local.get 1
      i32.or
      if ;; label = @3
        block ;; label = @4
          local.get 1
          br_if 0 (;@4;)
          local.get $a
          call $step
          i32.const 1
          global.get $windlass.unwinding
          br_if 3 (;@1;)
          drop
          local.set 3
        end
        local.get 3
        local.set $a
      end
      local.get $a
      local.get $a
      i32.const 16
      i32.shr_u
      i32.xor
      i32.const 73244475
      i32.mul
      local.set $a
      local.get $a
      local.get $a
      i32.const 16
      i32.shr_u
      i32.xor
      i32.const 73244475
      i32.mul
      local.set $a
      i32.const 1
      call $step
      i32.const 2
      global.get $windlass.unwinding
      br_if 1 (;@1;)
      drop
      local.set 3
    end
    local.get 3
    local.get $a
    i32.add
    return
  end
  local.get $a
  i32.const 1
  call $windlass.spill.i32x1
  i32.const 0
)

(func $windlass.resume.f (type 2) (param i32)
  local.get 0
  global.set $windlass.entry
  i32.const 0
  call $f
  global.set $windlass.result.i32.0
)
