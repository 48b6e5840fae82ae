(module $nbody.wasm
 (type $i32_=>_i32 (func (param i32) (result i32)))
 (type $i32_=>_f64 (func (param i32) (result f64)))
 (type $i32_i32_=>_none (func (param i32 i32)))
 (import "env" "may_suspend" (func $may_suspend (param i32) (result i32)))
 (global $__stack_pointer (mut i32) (i32.const 16384))
 (memory $0 1)
 (data $.rodata (i32.const 16384) "\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\deE\be\c9<\bdC@,\d9<4\a0]\13@|\db\1f\c0\ab\90\f2\bf\f0\eb%l\f9\86\ba\bf\bd\cc\93\9b\06g\e3?\9b\94}\f5\f2~\06@\15\07Z\9a\d7\d2\99\bf\08\91\01\da\95L\a3?g\ca2\c3\cd\af @\b0\01\de1\cb\7f\10@|F\eb\e1S\d3\d9\bfB\94\87\b8!,\f0\bf\13\8f\1f\bf\e95\fd?\b4#\11_H<\81?\10\c6\07\0dI\1d\87?\cf\d9\a7\ce\ea\c9)@~f&\d6\e88.\c0\a0}%\beW\95\cc\bf\ef\1b\91\a9\1cS\f1?\c5\bbT>\7f\cc\eb?|>\f2\fak/\86\bf\ae\1e\f4\9c\d2=\\?*W\05\a9g\c2.@ \a2\c83X\eb9\c0@\e5\ab\93\f3\f1\c6?J\bcY\16\b6T\ef?\a2\fb\c41\c6\07\e3?\f6evX\88\cb\a1\bf\ab\99\17S\f3\a8`?")
 (table $0 1 1 funcref)
 (export "memory" (memory $0))
 (export "run" (func $run))
 (func $run (param $0 i32) (result f64)
  (local $1 f64)
  (local $2 f64)
  (local $3 f64)
  (i64.store offset=16720
   (i32.const 0)
   (i64.load offset=16432
    (i32.const 0)
   )
  )
  (i64.store offset=16712
   (i32.const 0)
   (i64.load offset=16424
    (i32.const 0)
   )
  )
  (i64.store offset=16704
   (i32.const 0)
   (i64.load offset=16416
    (i32.const 0)
   )
  )
  (i64.store offset=16696
   (i32.const 0)
   (i64.load offset=16408
    (i32.const 0)
   )
  )
  (i64.store offset=16688
   (i32.const 0)
   (i64.load offset=16400
    (i32.const 0)
   )
  )
  (i64.store offset=16680
   (i32.const 0)
   (i64.load offset=16392
    (i32.const 0)
   )
  )
  (i64.store offset=16672
   (i32.const 0)
   (i64.load offset=16384
    (i32.const 0)
   )
  )
  (i64.store offset=16728
   (i32.const 0)
   (i64.load offset=16440
    (i32.const 0)
   )
  )
  (i64.store offset=16736
   (i32.const 0)
   (i64.load offset=16448
    (i32.const 0)
   )
  )
  (i64.store offset=16744
   (i32.const 0)
   (i64.load offset=16456
    (i32.const 0)
   )
  )
  (i64.store offset=16752
   (i32.const 0)
   (i64.load offset=16464
    (i32.const 0)
   )
  )
  (i64.store offset=16760
   (i32.const 0)
   (i64.load offset=16472
    (i32.const 0)
   )
  )
  (i64.store offset=16768
   (i32.const 0)
   (i64.load offset=16480
    (i32.const 0)
   )
  )
  (i64.store offset=16776
   (i32.const 0)
   (i64.load offset=16488
    (i32.const 0)
   )
  )
  (i64.store offset=16832
   (i32.const 0)
   (i64.load offset=16544
    (i32.const 0)
   )
  )
  (i64.store offset=16824
   (i32.const 0)
   (i64.load offset=16536
    (i32.const 0)
   )
  )
  (i64.store offset=16816
   (i32.const 0)
   (i64.load offset=16528
    (i32.const 0)
   )
  )
  (i64.store offset=16808
   (i32.const 0)
   (i64.load offset=16520
    (i32.const 0)
   )
  )
  (i64.store offset=16800
   (i32.const 0)
   (i64.load offset=16512
    (i32.const 0)
   )
  )
  (i64.store offset=16792
   (i32.const 0)
   (i64.load offset=16504
    (i32.const 0)
   )
  )
  (i64.store offset=16784
   (i32.const 0)
   (i64.load offset=16496
    (i32.const 0)
   )
  )
  (i64.store offset=16840
   (i32.const 0)
   (i64.load offset=16552
    (i32.const 0)
   )
  )
  (i64.store offset=16848
   (i32.const 0)
   (i64.load offset=16560
    (i32.const 0)
   )
  )
  (i64.store offset=16856
   (i32.const 0)
   (i64.load offset=16568
    (i32.const 0)
   )
  )
  (i64.store offset=16864
   (i32.const 0)
   (i64.load offset=16576
    (i32.const 0)
   )
  )
  (i64.store offset=16872
   (i32.const 0)
   (i64.load offset=16584
    (i32.const 0)
   )
  )
  (i64.store offset=16880
   (i32.const 0)
   (i64.load offset=16592
    (i32.const 0)
   )
  )
  (i64.store offset=16888
   (i32.const 0)
   (i64.load offset=16600
    (i32.const 0)
   )
  )
  (i64.store offset=16944
   (i32.const 0)
   (i64.load offset=16656
    (i32.const 0)
   )
  )
  (i64.store offset=16936
   (i32.const 0)
   (i64.load offset=16648
    (i32.const 0)
   )
  )
  (i64.store offset=16928
   (i32.const 0)
   (i64.load offset=16640
    (i32.const 0)
   )
  )
  (i64.store offset=16920
   (i32.const 0)
   (i64.load offset=16632
    (i32.const 0)
   )
  )
  (i64.store offset=16912
   (i32.const 0)
   (i64.load offset=16624
    (i32.const 0)
   )
  )
  (i64.store offset=16904
   (i32.const 0)
   (i64.load offset=16616
    (i32.const 0)
   )
  )
  (i64.store offset=16896
   (i32.const 0)
   (i64.load offset=16608
    (i32.const 0)
   )
  )
  (block $label$1
   (br_if $label$1
    (i32.ge_s
     (local.get $0)
     (i32.const 1)
    )
   )
   (return
    (f64.const -0.9810612710770572)
   )
  )
  (loop $label$2
   (call $pair
    (i32.const 16672)
    (i32.const 16728)
   )
   (call $pair
    (i32.const 16672)
    (i32.const 16784)
   )
   (call $pair
    (i32.const 16672)
    (i32.const 16840)
   )
   (call $pair
    (i32.const 16672)
    (i32.const 16896)
   )
   (call $pair
    (i32.const 16728)
    (i32.const 16784)
   )
   (call $pair
    (i32.const 16728)
    (i32.const 16840)
   )
   (call $pair
    (i32.const 16728)
    (i32.const 16896)
   )
   (call $pair
    (i32.const 16784)
    (i32.const 16840)
   )
   (call $pair
    (i32.const 16784)
    (i32.const 16896)
   )
   (call $pair
    (i32.const 16840)
    (i32.const 16896)
   )
   (f64.store offset=16672
    (i32.const 0)
    (local.tee $1
     (f64.add
      (f64.mul
       (f64.load offset=16696
        (i32.const 0)
       )
       (f64.const 0.01)
      )
      (f64.load offset=16672
       (i32.const 0)
      )
     )
    )
   )
   (f64.store offset=16680
    (i32.const 0)
    (f64.add
     (f64.mul
      (f64.load offset=16704
       (i32.const 0)
      )
      (f64.const 0.01)
     )
     (f64.load offset=16680
      (i32.const 0)
     )
    )
   )
   (f64.store offset=16688
    (i32.const 0)
    (f64.add
     (f64.mul
      (f64.load offset=16712
       (i32.const 0)
      )
      (f64.const 0.01)
     )
     (f64.load offset=16688
      (i32.const 0)
     )
    )
   )
   (f64.store offset=16728
    (i32.const 0)
    (f64.add
     (f64.mul
      (f64.load offset=16752
       (i32.const 0)
      )
      (f64.const 0.01)
     )
     (f64.load offset=16728
      (i32.const 0)
     )
    )
   )
   (f64.store offset=16736
    (i32.const 0)
    (local.tee $2
     (f64.add
      (f64.mul
       (f64.load offset=16760
        (i32.const 0)
       )
       (f64.const 0.01)
      )
      (f64.load offset=16736
       (i32.const 0)
      )
     )
    )
   )
   (f64.store offset=16744
    (i32.const 0)
    (f64.add
     (f64.mul
      (f64.load offset=16768
       (i32.const 0)
      )
      (f64.const 0.01)
     )
     (f64.load offset=16744
      (i32.const 0)
     )
    )
   )
   (f64.store offset=16784
    (i32.const 0)
    (f64.add
     (f64.mul
      (f64.load offset=16808
       (i32.const 0)
      )
      (f64.const 0.01)
     )
     (f64.load offset=16784
      (i32.const 0)
     )
    )
   )
   (f64.store offset=16792
    (i32.const 0)
    (f64.add
     (f64.mul
      (f64.load offset=16816
       (i32.const 0)
      )
      (f64.const 0.01)
     )
     (f64.load offset=16792
      (i32.const 0)
     )
    )
   )
   (f64.store offset=16800
    (i32.const 0)
    (f64.add
     (f64.mul
      (f64.load offset=16824
       (i32.const 0)
      )
      (f64.const 0.01)
     )
     (f64.load offset=16800
      (i32.const 0)
     )
    )
   )
   (f64.store offset=16840
    (i32.const 0)
    (f64.add
     (f64.mul
      (f64.load offset=16864
       (i32.const 0)
      )
      (f64.const 0.01)
     )
     (f64.load offset=16840
      (i32.const 0)
     )
    )
   )
   (f64.store offset=16848
    (i32.const 0)
    (f64.add
     (f64.mul
      (f64.load offset=16872
       (i32.const 0)
      )
      (f64.const 0.01)
     )
     (f64.load offset=16848
      (i32.const 0)
     )
    )
   )
   (f64.store offset=16856
    (i32.const 0)
    (f64.add
     (f64.mul
      (f64.load offset=16880
       (i32.const 0)
      )
      (f64.const 0.01)
     )
     (f64.load offset=16856
      (i32.const 0)
     )
    )
   )
   (f64.store offset=16896
    (i32.const 0)
    (f64.add
     (f64.mul
      (f64.load offset=16920
       (i32.const 0)
      )
      (f64.const 0.01)
     )
     (f64.load offset=16896
      (i32.const 0)
     )
    )
   )
   (f64.store offset=16904
    (i32.const 0)
    (f64.add
     (f64.mul
      (f64.load offset=16928
       (i32.const 0)
      )
      (f64.const 0.01)
     )
     (f64.load offset=16904
      (i32.const 0)
     )
    )
   )
   (f64.store offset=16912
    (i32.const 0)
    (local.tee $3
     (f64.add
      (f64.mul
       (f64.load offset=16936
        (i32.const 0)
       )
       (f64.const 0.01)
      )
      (f64.load offset=16912
       (i32.const 0)
      )
     )
    )
   )
   (br_if $label$2
    (local.tee $0
     (i32.add
      (local.get $0)
      (i32.const -1)
     )
    )
   )
  )
  (f64.add
   (f64.add
    (local.get $1)
    (local.get $2)
   )
   (local.get $3)
  )
 )
 (func $pair (param $0 i32) (param $1 i32)
  (local $2 f64)
  (local $3 f64)
  (local $4 f64)
  (local $5 f64)
  (local $6 f64)
  (f64.store offset=24
   (local.get $0)
   (f64.sub
    (f64.load offset=24
     (local.get $0)
    )
    (f64.mul
     (f64.mul
      (local.tee $2
       (f64.sub
        (f64.load
         (local.get $0)
        )
        (f64.load
         (local.get $1)
        )
       )
      )
      (local.tee $3
       (f64.load offset=48
        (local.get $1)
       )
      )
     )
     (local.tee $6
      (f64.div
       (f64.const 0.01)
       (f64.mul
        (local.tee $6
         (f64.add
          (f64.mul
           (local.tee $4
            (f64.sub
             (f64.load offset=16
              (local.get $0)
             )
             (f64.load offset=16
              (local.get $1)
             )
            )
           )
           (local.get $4)
          )
          (f64.add
           (f64.mul
            (local.get $2)
            (local.get $2)
           )
           (f64.mul
            (local.tee $5
             (f64.sub
              (f64.load offset=8
               (local.get $0)
              )
              (f64.load offset=8
               (local.get $1)
              )
             )
            )
            (local.get $5)
           )
          )
         )
        )
        (f64.sqrt
         (local.get $6)
        )
       )
      )
     )
    )
   )
  )
  (f64.store offset=32
   (local.get $0)
   (f64.sub
    (f64.load offset=32
     (local.get $0)
    )
    (f64.mul
     (f64.mul
      (local.get $5)
      (local.get $3)
     )
     (local.get $6)
    )
   )
  )
  (f64.store offset=40
   (local.get $0)
   (f64.sub
    (f64.load offset=40
     (local.get $0)
    )
    (f64.mul
     (f64.mul
      (local.get $4)
      (local.get $3)
     )
     (local.get $6)
    )
   )
  )
  (f64.store offset=24
   (local.get $1)
   (f64.add
    (f64.mul
     (f64.mul
      (local.get $2)
      (local.tee $3
       (f64.load offset=48
        (local.get $0)
       )
      )
     )
     (local.get $6)
    )
    (f64.load offset=24
     (local.get $1)
    )
   )
  )
  (f64.store offset=32
   (local.get $1)
   (f64.add
    (f64.mul
     (f64.mul
      (local.get $5)
      (local.get $3)
     )
     (local.get $6)
    )
    (f64.load offset=32
     (local.get $1)
    )
   )
  )
  (f64.store offset=40
   (local.get $1)
   (f64.add
    (f64.mul
     (f64.mul
      (local.get $4)
      (local.get $3)
     )
     (local.get $6)
    )
    (f64.load offset=40
     (local.get $1)
    )
   )
  )
  (block $label$1
   (br_if $label$1
    (i32.gt_s
     (i32.load offset=16952
      (i32.const 0)
     )
     (i32.const -1)
    )
   )
   (drop
    (call $may_suspend
     (i32.const 1)
    )
   )
  )
 )
 ;; custom section "producers", size 47
 ;; features section: mutable-globals, nontrapping-float-to-int, bulk-memory, sign-ext, reference-types, multivalue
)

