;; Operands of all types beneath calls: in the block of the call, in those around it, constants among them; the results
;; of the calls are operands themselves.
(module
  (import "env" "s0" (func $s0 (param i32) (result i32)))
  (import "env" "s1" (func $s1 (param f64 i64) (result f32)))
  (import "env" "h0" (func $h0 (param i32)))
  (memory (export "memory") 17 20)
  (global $g (export "g") (mut i64) (i64.const 5))
  (table 3 funcref)
  (elem (i32.const 1) func $s0 $deep)
  (type $unary (func (param i32) (result i32)))
  (func $deep (export "deep") (param i32) (result i32)
    (local $x f64)
    i32.const 7
    local.get 0
    f64.const 1.5
    block (result f64)
      i64.const 9
      f32.const 0.25
      block (result f32)
        local.get 0
        call $s0
        i32.const 3
        i32.add
        call $s0
        call $h0
        f64.const -2.5
        local.tee $x
        i64.const 11
        call $s1
      end
      f32.add
      f64.promote_f32
      local.get $x
      f64.add
      f64.const 8
      i64.reinterpret_f64
      i64.const 1
      i64.shl
      global.set $g
      br 0
    end
    f64.mul
    i32.trunc_sat_f64_s
    i32.xor
    i32.add)
  (func (export "indirect") (param i32 i32) (result i32)
    local.get 1
    local.get 1
    local.get 0
    i32.const 3
    i32.rem_u
    call_indirect (type $unary)
    i32.sub)
  (func (export "loop") (param $n i32) (result i32)
    (local $sum i32)
    loop $again (result i32)
      local.get $sum
      local.get $n
      if (result i32)
        local.get $n
        call $s0
      else
        i32.const 1
        call $deep
      end
      i32.add
      local.set $sum
      local.get $sum
      i32.const 255
      i32.and
      local.get $n
      i32.const 7
      i32.and
      local.tee $n
      i32.eqz
      br_if 1
      drop
      local.get $n
      i32.const 1
      i32.sub
      local.set $n
      br $again
    end))
