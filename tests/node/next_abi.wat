;; A guest of a later release.
(module
  (import "windlass" "run" (func (param i32)))
  (@custom "windlass.abi" "\02\00\00\00"))
