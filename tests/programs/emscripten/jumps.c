// setjmp: Emscripten calls through JavaScript (`invoke_*`), so a frame of the host lies between those that sleep.

#include <emscripten.h>
#include <setjmp.h>
#include <stdio.h>

static jmp_buf target;

static int risky(int n) {
  emscripten_sleep(0);
  if (n % 3 == 2)
    longjmp(target, n);
  emscripten_sleep(0);
  return n * 2;
}

int main(void) {
  volatile int sum = 0;
  for (volatile int n = 0; n < 7; n++) {
    int code = setjmp(target);
    if (code == 0)
      sum += risky(n);
    else
      printf("jumped with %d\n", code);
  }
  printf("sum %d\n", sum);
  return 0;
}
