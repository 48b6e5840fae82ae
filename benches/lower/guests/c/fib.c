// Recursion: two calls a function, one of which may suspend at the bottom.

#include "suspend.h"

__attribute__((noinline)) static int fib(int n) {
    if (n < 2) {
        if (n < -5) return may_suspend(n);
        return n;
    }
    // Not a sum, which clang would turn into a loop with one call.
    return fib(n - 1) * 3 - fib(n - 2);
}

EXPORT(run) int run(int n) { return fib(n); }
