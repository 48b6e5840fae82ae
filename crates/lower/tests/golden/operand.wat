;; An operand that lies beneath a call, lowered for speed.
;;
;; The branch to the cold end drops the operand stack, so the product is kept in a local as soon as it is there,
;; by a `local.tee`. The constant beneath it needs none: the resume function has it again by itself. It pushes
;; both before it goes on with what the call returned.
;;
;; Before:
;;
;;   (func $f (export "f") (param $a i32) (result i32)
;;       (i32.add
;;           (i32.const 7)
;;           (i32.sub
;;               (i32.mul (local.get $a) (i32.const 3))
;;               (call $step (local.get $a)))))

(func $f (type 1) (param $a i32) (result i32)
  (local i32)
  block (result i32) ;; label = @1
    i32.const 7
    local.get $a
    i32.const 3
    i32.mul
    local.tee 1
    local.get $a
    call $step
    i32.const 1
    global.get $windlass.unwinding
    br_if 0 (;@1;)
    drop
    i32.sub
    i32.add
    return
  end
  local.get 1
  i32.const 1
  call $windlass.spill.i32x1
  i32.const 0
)

(func $windlass.resume.f (type 2) (param i32)
  (local i32 i32)
  local.get 0
  call $windlass.restore.i32x1
  drop
  local.set 2
  block (result i32) ;; label = @1
    block (result i32) ;; label = @2
      i32.const 7
      local.get 2
      global.get $windlass.result.i32.0
      i32.sub
      i32.add
    end
    global.set $windlass.result.i32.0
    return
  end
  local.get 2
  i32.const 1
  call $windlass.spill.i32x1
)
