// What the programs share: an import that may suspend, which they never call.

__attribute__((import_module("env"), import_name("may_suspend"))) int may_suspend(int);

#define EXPORT(name) __attribute__((export_name(#name), noinline))

/// Never negative, which the compiler cannot know.
volatile int never_negative;
