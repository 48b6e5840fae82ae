(module $fib.wasm
 (type $i32_=>_i32 (func (param i32) (result i32)))
 (import "env" "may_suspend" (func $may_suspend (param i32) (result i32)))
 (global $__stack_pointer (mut i32) (i32.const 16384))
 (memory $0 1)
 (table $0 1 1 funcref)
 (export "memory" (memory $0))
 (export "run" (func $run))
 (func $run (param $0 i32) (result i32)
  (call $fib
   (local.get $0)
  )
 )
 (func $fib (param $0 i32) (result i32)
  (block $label$1
   (br_if $label$1
    (i32.gt_s
     (local.get $0)
     (i32.const 1)
    )
   )
   (block $label$2
    (br_if $label$2
     (i32.gt_s
      (local.get $0)
      (i32.const -6)
     )
    )
    (local.set $0
     (call $may_suspend
      (local.get $0)
     )
    )
   )
   (return
    (local.get $0)
   )
  )
  (i32.sub
   (i32.mul
    (call $fib
     (i32.add
      (local.get $0)
      (i32.const -1)
     )
    )
    (i32.const 3)
   )
   (call $fib
    (i32.add
     (local.get $0)
     (i32.const -2)
    )
   )
  )
 )
 ;; custom section "producers", size 47
 ;; features section: mutable-globals, nontrapping-float-to-int, bulk-memory, sign-ext, reference-types, multivalue
)

