(module $interp.wasm
 (type $i32_=>_i32 (func (param i32) (result i32)))
 (import "env" "may_suspend" (func $may_suspend (param i32) (result i32)))
 (global $__stack_pointer (mut i32) (i32.const 16384))
 (memory $0 1)
 (data $.rodata (i32.const 16384) "\00\01\00\01\00\02\00\11\00\06\00\0f\01\02\02\00\03\02\02\02\05\03\02\01\04\02\02\03\06\04\00\06\08\04\02\00\06\05\02\06\07\03\05\00\01\02\02\03\06\03\00\01\0d\03\00\10\t\02\00\00\0e\00\00\11\02\02\02\04\0b\07\02\00\n\00\00\00\0c\00\00\03\0d\01\00\16\10\00\00\00\0f\02\00\00\10\00\00\00")
 (data $.data (i32.const 16480) "\01\00\00\00\02\00\00\00\03\00\00\00\04\00\00\00\05\00\00\00\06\00\00\00\07\00\00\00\08\00\00\00\t\00\00\00\n\00\00\00\0b\00\00\00\0c\00\00\00\0d\00\00\00\0e\00\00\00\0f\00\00\00\10\00\00\00\11\00\00\00")
 (table $0 18 18 funcref)
 (elem (i32.const 1) $op_set $op_add $op_sub $op_mul $op_xor $op_shr $op_and $op_load $op_store $op_inc $op_dec $op_mov $op_jnz $op_jz $op_jmp $op_yield $op_halt)
 (export "memory" (memory $0))
 (export "run_switch" (func $run_switch))
 (export "run_indirect" (func $run_indirect))
 (func $run_switch (param $0 i32) (result i32)
  (local $1 i32)
  (local $2 i32)
  (local $3 i32)
  (local $4 i32)
  (local $5 i32)
  (global.set $__stack_pointer
   (local.tee $1
    (i32.sub
     (global.get $__stack_pointer)
     (i32.const 32)
    )
   )
  )
  (i64.store offset=16616
   (i32.const 0)
   (i64.const 0)
  )
  (i64.store offset=16608
   (i32.const 0)
   (i64.const 0)
  )
  (i64.store offset=16600
   (i32.const 0)
   (i64.const 0)
  )
  (i64.store offset=16592
   (i32.const 0)
   (i64.const 0)
  )
  (i64.store offset=16584
   (i32.const 0)
   (i64.const 0)
  )
  (i64.store offset=16576
   (i32.const 0)
   (i64.const 0)
  )
  (i64.store offset=16568
   (i32.const 0)
   (i64.const 0)
  )
  (i64.store offset=16560
   (i32.const 0)
   (i64.const 0)
  )
  (i64.store
   (local.get $1)
   (i64.const 0)
  )
  (i64.store offset=24
   (local.get $1)
   (i64.const 0)
  )
  (i64.store offset=16
   (local.get $1)
   (i64.const 0)
  )
  (i64.store offset=8
   (local.get $1)
   (i64.const 0)
  )
  (i32.store
   (local.get $1)
   (local.get $0)
  )
  (local.set $0
   (i32.const 16384)
  )
  (block $label$1
   (loop $label$2
    (local.set $2
     (i32.add
      (local.get $0)
      (i32.const 4)
     )
    )
    (local.set $3
     (i32.load8_u offset=3
      (local.get $0)
     )
    )
    (local.set $4
     (i32.load8_u offset=2
      (local.get $0)
     )
    )
    (local.set $5
     (i32.load8_u offset=1
      (local.get $0)
     )
    )
    (block $label$3
     (block $label$4
      (block $label$5
       (block $label$6
        (block $label$7
         (block $label$8
          (block $label$9
           (block $label$10
            (block $label$11
             (block $label$12
              (block $label$13
               (block $label$14
                (block $label$15
                 (block $label$16
                  (block $label$17
                   (block $label$18
                    (br_table $label$18 $label$17 $label$16 $label$15 $label$14 $label$13 $label$12 $label$11 $label$10 $label$9 $label$8 $label$7 $label$6 $label$5 $label$4 $label$3 $label$1
                     (i32.load8_u
                      (local.get $0)
                     )
                    )
                   )
                   (i32.store
                    (i32.add
                     (local.get $1)
                     (i32.shl
                      (i32.and
                       (local.get $5)
                       (i32.const 7)
                      )
                      (i32.const 2)
                     )
                    )
                    (local.get $3)
                   )
                   (local.set $0
                    (local.get $2)
                   )
                   (br $label$2)
                  )
                  (i32.store
                   (i32.add
                    (local.get $1)
                    (i32.shl
                     (i32.and
                      (local.get $5)
                      (i32.const 7)
                     )
                     (i32.const 2)
                    )
                   )
                   (i32.add
                    (i32.load
                     (i32.add
                      (local.get $1)
                      (i32.shl
                       (i32.and
                        (local.get $3)
                        (i32.const 7)
                       )
                       (i32.const 2)
                      )
                     )
                    )
                    (i32.load
                     (i32.add
                      (local.get $1)
                      (i32.shl
                       (i32.and
                        (local.get $4)
                        (i32.const 7)
                       )
                       (i32.const 2)
                      )
                     )
                    )
                   )
                  )
                  (local.set $0
                   (local.get $2)
                  )
                  (br $label$2)
                 )
                 (i32.store
                  (i32.add
                   (local.get $1)
                   (i32.shl
                    (i32.and
                     (local.get $5)
                     (i32.const 7)
                    )
                    (i32.const 2)
                   )
                  )
                  (i32.sub
                   (i32.load
                    (i32.add
                     (local.get $1)
                     (i32.shl
                      (i32.and
                       (local.get $4)
                       (i32.const 7)
                      )
                      (i32.const 2)
                     )
                    )
                   )
                   (i32.load
                    (i32.add
                     (local.get $1)
                     (i32.shl
                      (i32.and
                       (local.get $3)
                       (i32.const 7)
                      )
                      (i32.const 2)
                     )
                    )
                   )
                  )
                 )
                 (local.set $0
                  (local.get $2)
                 )
                 (br $label$2)
                )
                (i32.store
                 (i32.add
                  (local.get $1)
                  (i32.shl
                   (i32.and
                    (local.get $5)
                    (i32.const 7)
                   )
                   (i32.const 2)
                  )
                 )
                 (i32.mul
                  (i32.load
                   (i32.add
                    (local.get $1)
                    (i32.shl
                     (i32.and
                      (local.get $3)
                      (i32.const 7)
                     )
                     (i32.const 2)
                    )
                   )
                  )
                  (i32.load
                   (i32.add
                    (local.get $1)
                    (i32.shl
                     (i32.and
                      (local.get $4)
                      (i32.const 7)
                     )
                     (i32.const 2)
                    )
                   )
                  )
                 )
                )
                (local.set $0
                 (local.get $2)
                )
                (br $label$2)
               )
               (i32.store
                (i32.add
                 (local.get $1)
                 (i32.shl
                  (i32.and
                   (local.get $5)
                   (i32.const 7)
                  )
                  (i32.const 2)
                 )
                )
                (i32.xor
                 (i32.load
                  (i32.add
                   (local.get $1)
                   (i32.shl
                    (i32.and
                     (local.get $3)
                     (i32.const 7)
                    )
                    (i32.const 2)
                   )
                  )
                 )
                 (i32.load
                  (i32.add
                   (local.get $1)
                   (i32.shl
                    (i32.and
                     (local.get $4)
                     (i32.const 7)
                    )
                    (i32.const 2)
                   )
                  )
                 )
                )
               )
               (local.set $0
                (local.get $2)
               )
               (br $label$2)
              )
              (i32.store
               (i32.add
                (local.get $1)
                (i32.shl
                 (i32.and
                  (local.get $5)
                  (i32.const 7)
                 )
                 (i32.const 2)
                )
               )
               (i32.shr_u
                (i32.load
                 (i32.add
                  (local.get $1)
                  (i32.shl
                   (i32.and
                    (local.get $4)
                    (i32.const 7)
                   )
                   (i32.const 2)
                  )
                 )
                )
                (i32.load
                 (i32.add
                  (local.get $1)
                  (i32.shl
                   (i32.and
                    (local.get $3)
                    (i32.const 7)
                   )
                   (i32.const 2)
                  )
                 )
                )
               )
              )
              (local.set $0
               (local.get $2)
              )
              (br $label$2)
             )
             (i32.store
              (i32.add
               (local.get $1)
               (i32.shl
                (i32.and
                 (local.get $5)
                 (i32.const 7)
                )
                (i32.const 2)
               )
              )
              (i32.and
               (i32.load
                (i32.add
                 (local.get $1)
                 (i32.shl
                  (i32.and
                   (local.get $3)
                   (i32.const 7)
                  )
                  (i32.const 2)
                 )
                )
               )
               (i32.load
                (i32.add
                 (local.get $1)
                 (i32.shl
                  (i32.and
                   (local.get $4)
                   (i32.const 7)
                  )
                  (i32.const 2)
                 )
                )
               )
              )
             )
             (local.set $0
              (local.get $2)
             )
             (br $label$2)
            )
            (i32.store
             (i32.add
              (local.get $1)
              (i32.shl
               (i32.and
                (local.get $5)
                (i32.const 7)
               )
               (i32.const 2)
              )
             )
             (i32.load offset=16560
              (i32.shl
               (i32.and
                (i32.load
                 (i32.add
                  (local.get $1)
                  (i32.shl
                   (i32.and
                    (local.get $4)
                    (i32.const 7)
                   )
                   (i32.const 2)
                  )
                 )
                )
                (i32.const 15)
               )
               (i32.const 2)
              )
             )
            )
            (local.set $0
             (local.get $2)
            )
            (br $label$2)
           )
           (i32.store offset=16560
            (i32.shl
             (i32.and
              (i32.load
               (i32.add
                (local.get $1)
                (i32.shl
                 (i32.and
                  (local.get $5)
                  (i32.const 7)
                 )
                 (i32.const 2)
                )
               )
              )
              (i32.const 15)
             )
             (i32.const 2)
            )
            (i32.load
             (i32.add
              (local.get $1)
              (i32.shl
               (i32.and
                (local.get $4)
                (i32.const 7)
               )
               (i32.const 2)
              )
             )
            )
           )
           (local.set $0
            (local.get $2)
           )
           (br $label$2)
          )
          (i32.store
           (local.tee $0
            (i32.add
             (local.get $1)
             (i32.shl
              (i32.and
               (local.get $5)
               (i32.const 7)
              )
              (i32.const 2)
             )
            )
           )
           (i32.add
            (i32.load
             (local.get $0)
            )
            (i32.const 1)
           )
          )
          (local.set $0
           (local.get $2)
          )
          (br $label$2)
         )
         (i32.store
          (local.tee $0
           (i32.add
            (local.get $1)
            (i32.shl
             (i32.and
              (local.get $5)
              (i32.const 7)
             )
             (i32.const 2)
            )
           )
          )
          (i32.add
           (i32.load
            (local.get $0)
           )
           (i32.const -1)
          )
         )
         (local.set $0
          (local.get $2)
         )
         (br $label$2)
        )
        (i32.store
         (i32.add
          (local.get $1)
          (i32.shl
           (i32.and
            (local.get $5)
            (i32.const 7)
           )
           (i32.const 2)
          )
         )
         (i32.load
          (i32.add
           (local.get $1)
           (i32.shl
            (i32.and
             (local.get $4)
             (i32.const 7)
            )
            (i32.const 2)
           )
          )
         )
        )
        (local.set $0
         (local.get $2)
        )
        (br $label$2)
       )
       (local.set $0
        (local.get $2)
       )
       (br_if $label$2
        (i32.eqz
         (i32.load
          (i32.add
           (local.get $1)
           (i32.shl
            (i32.and
             (local.get $5)
             (i32.const 7)
            )
            (i32.const 2)
           )
          )
         )
        )
       )
       (local.set $0
        (i32.add
         (i32.shl
          (local.get $3)
          (i32.const 2)
         )
         (i32.const 16384)
        )
       )
       (br $label$2)
      )
      (local.set $0
       (local.get $2)
      )
      (br_if $label$2
       (i32.load
        (i32.add
         (local.get $1)
         (i32.shl
          (i32.and
           (local.get $5)
           (i32.const 7)
          )
          (i32.const 2)
         )
        )
       )
      )
      (local.set $0
       (i32.add
        (i32.shl
         (local.get $3)
         (i32.const 2)
        )
        (i32.const 16384)
       )
      )
      (br $label$2)
     )
     (local.set $0
      (i32.add
       (i32.shl
        (local.get $3)
        (i32.const 2)
       )
       (i32.const 16384)
      )
     )
     (br $label$2)
    )
    (local.set $0
     (i32.add
      (local.get $1)
      (i32.shl
       (i32.and
        (local.get $5)
        (i32.const 7)
       )
       (i32.const 2)
      )
     )
    )
    (i32.store
     (local.get $0)
     (call $may_suspend
      (i32.load
       (local.get $0)
      )
     )
    )
    (local.set $0
     (local.get $2)
    )
    (br $label$2)
   )
  )
  (local.set $0
   (i32.load offset=8
    (local.get $1)
   )
  )
  (global.set $__stack_pointer
   (i32.add
    (local.get $1)
    (i32.const 32)
   )
  )
  (local.get $0)
 )
 (func $run_indirect (param $0 i32) (result i32)
  (i64.store offset=16644 align=4
   (i32.const 0)
   (i64.const 0)
  )
  (i64.store offset=16636 align=4
   (i32.const 0)
   (i64.const 0)
  )
  (i64.store offset=16628 align=4
   (i32.const 0)
   (i64.const 0)
  )
  (i64.store offset=16616
   (i32.const 0)
   (i64.const 0)
  )
  (i64.store offset=16608
   (i32.const 0)
   (i64.const 0)
  )
  (i64.store offset=16600
   (i32.const 0)
   (i64.const 0)
  )
  (i64.store offset=16592
   (i32.const 0)
   (i64.const 0)
  )
  (i64.store offset=16584
   (i32.const 0)
   (i64.const 0)
  )
  (i64.store offset=16576
   (i32.const 0)
   (i64.const 0)
  )
  (i64.store offset=16568
   (i32.const 0)
   (i64.const 0)
  )
  (i64.store offset=16560
   (i32.const 0)
   (i64.const 0)
  )
  (i32.store offset=16624
   (i32.const 0)
   (local.get $0)
  )
  (i32.store offset=16652
   (i32.const 0)
   (i32.const 0)
  )
  (local.set $0
   (i32.const 16384)
  )
  (loop $label$1
   (br_if $label$1
    (local.tee $0
     (call_indirect $0 (type $i32_=>_i32)
      (local.get $0)
      (i32.load offset=16480
       (i32.shl
        (i32.load8_u
         (local.get $0)
        )
        (i32.const 2)
       )
      )
     )
    )
   )
  )
  (i32.load offset=16632
   (i32.const 0)
  )
 )
 (func $op_set (param $0 i32) (result i32)
  (i32.store offset=16624
   (i32.shl
    (i32.and
     (i32.load8_u offset=1
      (local.get $0)
     )
     (i32.const 7)
    )
    (i32.const 2)
   )
   (i32.load8_u offset=3
    (local.get $0)
   )
  )
  (i32.add
   (local.get $0)
   (i32.const 4)
  )
 )
 (func $op_add (param $0 i32) (result i32)
  (i32.store offset=16624
   (i32.shl
    (i32.and
     (i32.load8_u offset=1
      (local.get $0)
     )
     (i32.const 7)
    )
    (i32.const 2)
   )
   (i32.add
    (i32.load offset=16624
     (i32.shl
      (i32.and
       (i32.load8_u offset=3
        (local.get $0)
       )
       (i32.const 7)
      )
      (i32.const 2)
     )
    )
    (i32.load offset=16624
     (i32.shl
      (i32.and
       (i32.load8_u offset=2
        (local.get $0)
       )
       (i32.const 7)
      )
      (i32.const 2)
     )
    )
   )
  )
  (i32.add
   (local.get $0)
   (i32.const 4)
  )
 )
 (func $op_sub (param $0 i32) (result i32)
  (i32.store offset=16624
   (i32.shl
    (i32.and
     (i32.load8_u offset=1
      (local.get $0)
     )
     (i32.const 7)
    )
    (i32.const 2)
   )
   (i32.sub
    (i32.load offset=16624
     (i32.shl
      (i32.and
       (i32.load8_u offset=2
        (local.get $0)
       )
       (i32.const 7)
      )
      (i32.const 2)
     )
    )
    (i32.load offset=16624
     (i32.shl
      (i32.and
       (i32.load8_u offset=3
        (local.get $0)
       )
       (i32.const 7)
      )
      (i32.const 2)
     )
    )
   )
  )
  (i32.add
   (local.get $0)
   (i32.const 4)
  )
 )
 (func $op_mul (param $0 i32) (result i32)
  (i32.store offset=16624
   (i32.shl
    (i32.and
     (i32.load8_u offset=1
      (local.get $0)
     )
     (i32.const 7)
    )
    (i32.const 2)
   )
   (i32.mul
    (i32.load offset=16624
     (i32.shl
      (i32.and
       (i32.load8_u offset=3
        (local.get $0)
       )
       (i32.const 7)
      )
      (i32.const 2)
     )
    )
    (i32.load offset=16624
     (i32.shl
      (i32.and
       (i32.load8_u offset=2
        (local.get $0)
       )
       (i32.const 7)
      )
      (i32.const 2)
     )
    )
   )
  )
  (i32.add
   (local.get $0)
   (i32.const 4)
  )
 )
 (func $op_xor (param $0 i32) (result i32)
  (i32.store offset=16624
   (i32.shl
    (i32.and
     (i32.load8_u offset=1
      (local.get $0)
     )
     (i32.const 7)
    )
    (i32.const 2)
   )
   (i32.xor
    (i32.load offset=16624
     (i32.shl
      (i32.and
       (i32.load8_u offset=3
        (local.get $0)
       )
       (i32.const 7)
      )
      (i32.const 2)
     )
    )
    (i32.load offset=16624
     (i32.shl
      (i32.and
       (i32.load8_u offset=2
        (local.get $0)
       )
       (i32.const 7)
      )
      (i32.const 2)
     )
    )
   )
  )
  (i32.add
   (local.get $0)
   (i32.const 4)
  )
 )
 (func $op_shr (param $0 i32) (result i32)
  (i32.store offset=16624
   (i32.shl
    (i32.and
     (i32.load8_u offset=1
      (local.get $0)
     )
     (i32.const 7)
    )
    (i32.const 2)
   )
   (i32.shr_u
    (i32.load offset=16624
     (i32.shl
      (i32.and
       (i32.load8_u offset=2
        (local.get $0)
       )
       (i32.const 7)
      )
      (i32.const 2)
     )
    )
    (i32.load offset=16624
     (i32.shl
      (i32.and
       (i32.load8_u offset=3
        (local.get $0)
       )
       (i32.const 7)
      )
      (i32.const 2)
     )
    )
   )
  )
  (i32.add
   (local.get $0)
   (i32.const 4)
  )
 )
 (func $op_and (param $0 i32) (result i32)
  (i32.store offset=16624
   (i32.shl
    (i32.and
     (i32.load8_u offset=1
      (local.get $0)
     )
     (i32.const 7)
    )
    (i32.const 2)
   )
   (i32.and
    (i32.load offset=16624
     (i32.shl
      (i32.and
       (i32.load8_u offset=3
        (local.get $0)
       )
       (i32.const 7)
      )
      (i32.const 2)
     )
    )
    (i32.load offset=16624
     (i32.shl
      (i32.and
       (i32.load8_u offset=2
        (local.get $0)
       )
       (i32.const 7)
      )
      (i32.const 2)
     )
    )
   )
  )
  (i32.add
   (local.get $0)
   (i32.const 4)
  )
 )
 (func $op_load (param $0 i32) (result i32)
  (i32.store offset=16624
   (i32.shl
    (i32.and
     (i32.load8_u offset=1
      (local.get $0)
     )
     (i32.const 7)
    )
    (i32.const 2)
   )
   (i32.load offset=16560
    (i32.shl
     (i32.and
      (i32.load offset=16624
       (i32.shl
        (i32.and
         (i32.load8_u offset=2
          (local.get $0)
         )
         (i32.const 7)
        )
        (i32.const 2)
       )
      )
      (i32.const 15)
     )
     (i32.const 2)
    )
   )
  )
  (i32.add
   (local.get $0)
   (i32.const 4)
  )
 )
 (func $op_store (param $0 i32) (result i32)
  (i32.store offset=16560
   (i32.shl
    (i32.and
     (i32.load offset=16624
      (i32.shl
       (i32.and
        (i32.load8_u offset=1
         (local.get $0)
        )
        (i32.const 7)
       )
       (i32.const 2)
      )
     )
     (i32.const 15)
    )
    (i32.const 2)
   )
   (i32.load offset=16624
    (i32.shl
     (i32.and
      (i32.load8_u offset=2
       (local.get $0)
      )
      (i32.const 7)
     )
     (i32.const 2)
    )
   )
  )
  (i32.add
   (local.get $0)
   (i32.const 4)
  )
 )
 (func $op_inc (param $0 i32) (result i32)
  (local $1 i32)
  (i32.store offset=16624
   (local.tee $1
    (i32.shl
     (i32.and
      (i32.load8_u offset=1
       (local.get $0)
      )
      (i32.const 7)
     )
     (i32.const 2)
    )
   )
   (i32.add
    (i32.load offset=16624
     (local.get $1)
    )
    (i32.const 1)
   )
  )
  (i32.add
   (local.get $0)
   (i32.const 4)
  )
 )
 (func $op_dec (param $0 i32) (result i32)
  (local $1 i32)
  (i32.store offset=16624
   (local.tee $1
    (i32.shl
     (i32.and
      (i32.load8_u offset=1
       (local.get $0)
      )
      (i32.const 7)
     )
     (i32.const 2)
    )
   )
   (i32.add
    (i32.load offset=16624
     (local.get $1)
    )
    (i32.const -1)
   )
  )
  (i32.add
   (local.get $0)
   (i32.const 4)
  )
 )
 (func $op_mov (param $0 i32) (result i32)
  (i32.store offset=16624
   (i32.shl
    (i32.and
     (i32.load8_u offset=1
      (local.get $0)
     )
     (i32.const 7)
    )
    (i32.const 2)
   )
   (i32.load offset=16624
    (i32.shl
     (i32.and
      (i32.load8_u offset=2
       (local.get $0)
      )
      (i32.const 7)
     )
     (i32.const 2)
    )
   )
  )
  (i32.add
   (local.get $0)
   (i32.const 4)
  )
 )
 (func $op_jnz (param $0 i32) (result i32)
  (block $label$1
   (br_if $label$1
    (i32.eqz
     (i32.load offset=16624
      (i32.shl
       (i32.and
        (i32.load8_u offset=1
         (local.get $0)
        )
        (i32.const 7)
       )
       (i32.const 2)
      )
     )
    )
   )
   (return
    (i32.add
     (i32.shl
      (i32.load8_u offset=3
       (local.get $0)
      )
      (i32.const 2)
     )
     (i32.const 16384)
    )
   )
  )
  (i32.add
   (local.get $0)
   (i32.const 4)
  )
 )
 (func $op_jz (param $0 i32) (result i32)
  (block $label$1
   (br_if $label$1
    (i32.load offset=16624
     (i32.shl
      (i32.and
       (i32.load8_u offset=1
        (local.get $0)
       )
       (i32.const 7)
      )
      (i32.const 2)
     )
    )
   )
   (return
    (i32.add
     (i32.shl
      (i32.load8_u offset=3
       (local.get $0)
      )
      (i32.const 2)
     )
     (i32.const 16384)
    )
   )
  )
  (i32.add
   (local.get $0)
   (i32.const 4)
  )
 )
 (func $op_jmp (param $0 i32) (result i32)
  (i32.add
   (i32.shl
    (i32.load8_u offset=3
     (local.get $0)
    )
    (i32.const 2)
   )
   (i32.const 16384)
  )
 )
 (func $op_yield (param $0 i32) (result i32)
  (local $1 i32)
  (local.set $1
   (call $may_suspend
    (i32.load offset=16624
     (i32.shl
      (i32.and
       (i32.load8_u offset=1
        (local.get $0)
       )
       (i32.const 7)
      )
      (i32.const 2)
     )
    )
   )
  )
  (i32.store offset=16624
   (i32.shl
    (i32.and
     (i32.load8_u offset=1
      (local.get $0)
     )
     (i32.const 7)
    )
    (i32.const 2)
   )
   (local.get $1)
  )
  (i32.add
   (local.get $0)
   (i32.const 4)
  )
 )
 (func $op_halt (param $0 i32) (result i32)
  (i32.const 0)
 )
 ;; custom section "producers", size 47
 ;; features section: mutable-globals, nontrapping-float-to-int, bulk-memory, sign-ext, reference-types, multivalue
)

