;; A call in a loop, lowered for speed: two bodies, and the helpers that write and read a frame.
;;
;; The first one is the function as it was. After the call the number of the call site, 1, is put on the stack,
;; and if the flag is set the cold end at the bottom takes it from there: it writes one frame, of the values
;; that are needed later, and returns some result. Nobody reads that.
;;
;; The resume function has the address of that frame. It reads the values and the number of the site, into local
;; 4, and begins at the loop's head with a jump past the call: with one site the number only tells the first
;; time, when the jump is taken, from the next ones, when it is 0. What the call returned came through a global;
;; so does what the function returns.
;;
;; Before:
;;
;;   (func $f (export "f") (param $n i32) (result i32)
;;       (local $i i32) (local $sum i32)
;;       (loop $again
;;           (local.set $sum (i32.add (call $step (local.get $i)) (local.get $sum)))
;;           (local.set $i (i32.add (local.get $i) (i32.const 1)))
;;           (br_if $again (i32.lt_u (local.get $i) (local.get $n))))
;;       (local.get $sum))

(func $f (type 1) (param $n i32) (result i32)
  (local $i i32) (local $sum i32)
  block (result i32) ;; label = @1
    loop ;; label = @2
      local.get $i
      call $step
      i32.const 1
      global.get $windlass.unwinding
      br_if 1 (;@1;)
      drop
      local.get $sum
      i32.add
      local.set $sum
      local.get $i
      i32.const 1
      i32.add
      local.set $i
      local.get $i
      local.get $n
      i32.lt_u
      br_if 0 (;@2;)
    end
    local.get $sum
    return
  end
  local.get $n
  local.get $i
  local.get $sum
  i32.const 1
  call $windlass.spill.i32x3
  i32.const 0
)

(func $windlass.resume.f (type 2) (param i32)
  (local i32 i32 i32 i32 i32)
  local.get 0
  call $windlass.restore.i32x3
  local.set 4
  local.set 3
  local.set 2
  local.set 1
  global.get $windlass.result.i32.0
  local.set 5
  block (result i32) ;; label = @1
    block (result i32) ;; label = @2
      loop ;; label = @3
        block ;; label = @4
          local.get 4
          i32.const 0
          local.set 4
          br_if 0 (;@4;)
          local.get 2
          call $step
          i32.const 1
          global.get $windlass.unwinding
          br_if 3 (;@1;)
          drop
          local.set 5
        end
        local.get 5
        local.get 3
        i32.add
        local.set 3
        local.get 2
        i32.const 1
        i32.add
        local.set 2
        local.get 2
        local.get 1
        i32.lt_u
        br_if 0 (;@3;)
      end
      local.get 3
    end
    global.set $windlass.result.i32.0
    return
  end
  local.get 1
  local.get 2
  local.get 3
  i32.const 1
  call $windlass.spill.i32x3
)

(func $windlass.spill.i32x3 (type 7) (param i32 i32 i32 i32 i32)
  (local i32)
  global.get $windlass.room
  global.get $windlass.wp
  i32.sub
  i32.const 20
  i32.lt_s
  if ;; label = @1
    i32.const 20
    call $windlass.grow
  end
  global.get $windlass.wp
  local.tee 5
  local.get 4
  i32.store 1
  local.get 5
  local.get 0
  i32.store 1 offset=4
  local.get 5
  local.get 1
  i32.store 1 offset=8
  local.get 5
  local.get 2
  i32.store 1 offset=12
  local.get 5
  local.get 3
  i32.store 1 offset=16
  local.get 5
  i32.const 20
  i32.add
  global.set $windlass.wp
)

(func $windlass.restore.i32x3 (type 8) (param i32) (result i32 i32 i32 i32)
  local.get 0
  i32.load 1 offset=8
  local.get 0
  i32.load 1 offset=12
  local.get 0
  i32.load 1 offset=16
  local.get 0
  i32.load 1 offset=4
  local.get 0
  i32.const 20
  i32.add
  global.set $windlass.cur
)
