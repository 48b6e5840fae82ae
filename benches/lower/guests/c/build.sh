#!/bin/sh
# Compiles the programs again: needs clang 22 and lld (apt-get install clang-22 lld-22) and wasm-dis (binaryen). The
# bench reads the .wat files, so that what it measures does not hang on a compiler.
set -eu
cd "$(dirname "$0")"
PATH=/usr/lib/llvm-22/bin:$PATH
for name in fib nbody interp; do
    # clang would run the wasm-opt that it finds on PATH.
    clang --target=wasm32 -O2 -nostdlib -fno-builtin --no-wasm-opt -Wl,--no-entry -Wl,-zstack-size=16384 -Wl,--strip-debug \
        -o "$name.wasm" "$name.c"
    wasm-dis "$name.wasm" -o "$name.wat"
    rm "$name.wasm"
done
