;; What the compiler leaves for `windlass-lower`.
(module
  (import "windlass_host" "now" (func (result i64)))
  (import "windlass" "run" (func (param i32)))
  (import "windlass" "leave" (func (param i32)))
  (@custom "windlass.abi" "\01\00\00\00"))
