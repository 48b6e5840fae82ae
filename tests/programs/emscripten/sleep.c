// Sleeps in every place where C can be: emcc -sASYNCIFY.

#include <emscripten.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// In JavaScript, by name one of those that Emscripten always lets suspend (`__asyncjs__*`).
EM_ASYNC_JS(int, later, (int value), {
  await new Promise((resolve) => setTimeout(resolve, 0));
  return value * 3 + 1;
});

static int sleeps;

static int nap(int value) {
  sleeps++;
  emscripten_sleep(0);
  return value;
}

static int fibonacci(int n) { return n < 2 ? nap(n) : fibonacci(n - 1) + fibonacci(n - 2); }

static int compare(const void *a, const void *b) {
  return nap(*(const int *)a) - *(const int *)b;
}

static double integrate(double (*f)(double), double from, double to, int steps) {
  double sum = 0;
  for (int i = 0; i < steps; i++) {
    double x = from + (to - from) * (i + 0.5) / steps;
    sum += f(x) * (to - from) / steps;
    if (i % 4 == 0)
      nap(i);
  }
  return sum;
}

static double napping_sine(double x) { return sin(x) + nap(0); }

static long long collatz(long long n) {
  long long steps = 0;
  while (n != 1) {
    n = n % 2 ? 3 * n + 1 : n / 2;
    steps += nap(1);
  }
  return steps;
}

struct tree {
  struct tree *left, *right;
  int value;
};

static struct tree *insert(struct tree *tree, int value) {
  if (tree == NULL) {
    tree = calloc(1, sizeof *tree);
    tree->value = nap(value);
  } else if (value < tree->value) {
    tree->left = insert(tree->left, value);
  } else {
    tree->right = insert(tree->right, value);
  }
  return tree;
}

static void walk(struct tree *tree, char *out) {
  char own[32];
  if (tree == NULL)
    return;
  walk(tree->left, out);
  snprintf(own, sizeof own, "%d ", later(tree->value));
  strcat(out, own);
  walk(tree->right, out);
  free(tree);
}

// Called by JavaScript while `main` is asleep.
EMSCRIPTEN_KEEPALIVE int between(int n) { return n * n; }

int main(int argc, char **argv) {
  printf("%d arguments, %s\n", argc - 1, argc > 1 ? argv[1] : "none");
  for (int i = 0; i < 3; i++) {
    printf("tick %d\n", i);
    emscripten_sleep(1);
  }
  printf("fibonacci %d\n", fibonacci(10));
  int values[24];
  unsigned state = 7;
  for (int i = 0; i < 24; i++)
    values[i] = (state = state * 1103515245 + 12345) >> 20 & 0xff;
  qsort(values, 24, sizeof values[0], compare);
  for (int i = 0; i < 24; i++)
    printf("%d%c", values[i], i == 23 ? '\n' : ' ');
  printf("integral %.6f %.6f\n", integrate(napping_sine, 0, 3, 20), integrate(cos, 0, 1, 20));
  printf("collatz %lld\n", collatz(27));
  struct tree *tree = NULL;
  for (int i = 0; i < 12; i++)
    tree = insert(tree, i * 7 % 13);
  char out[256] = "";
  walk(tree, out);
  printf("tree %s\n", out);
  printf("between %d\n", EM_ASM_INT({ return Module['_between'](12); }));
  printf("later %d, slept %d times\n", later(later(later(1))), sleeps);
  return 0;
}
