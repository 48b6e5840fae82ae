// Emscripten's fibers, with stacks of both kinds that they own: emcc -sASYNCIFY.

#include <emscripten.h>
#include <emscripten/fiber.h>
#include <stdio.h>
#include <stdlib.h>

enum { FIBERS = 5, STACK = 16384 };

struct worker {
  emscripten_fiber_t fiber;
  int id;
  long result;
  int done;
  void *c_stack;
  _Alignas(16) char asyncify_stack[STACK];
};

static emscripten_fiber_t scheduler;
static char scheduler_stack[STACK];
static struct worker workers[FIBERS];

static void yield(struct worker *self) { emscripten_fiber_swap(&self->fiber, &scheduler); }

static long count_paths(struct worker *self, int x, int y) {
  if (x == 0 || y == 0)
    return 1;
  volatile long left = count_paths(self, x - 1, y);
  yield(self);
  return left + count_paths(self, x, y - 1);
}

static void entry(void *argument) {
  struct worker *self = argument;
  for (int i = 0; i < 3; i++) {
    printf("worker %d, turn %d\n", self->id, i);
    yield(self);
    if (self->id == 2)
      emscripten_sleep(1);
  }
  self->result = count_paths(self, self->id + 1, 3);
  self->done = 1;
  yield(self);
  abort();
}

int main(void) {
  emscripten_fiber_init_from_current_context(&scheduler, scheduler_stack, sizeof scheduler_stack);
  // Twice, so that memory is used again.
  for (int round = 0; round < 2; round++) {
    for (int i = 0; i < FIBERS; i++) {
      struct worker *worker = &workers[i];
      worker->id = i;
      worker->done = 0;
      worker->c_stack = aligned_alloc(16, STACK);
      emscripten_fiber_init(&worker->fiber, entry, worker, worker->c_stack, STACK, worker->asyncify_stack, STACK);
    }
    int switches = 0;
    for (int alive = FIBERS; alive > 0;) {
      for (int i = 0; i < FIBERS; i++) {
        if (workers[i].done)
          continue;
        emscripten_fiber_swap(&scheduler, &workers[i].fiber);
        switches++;
        alive -= workers[i].done;
      }
    }
    for (int i = 0; i < FIBERS; i++) {
      printf("worker %d: %ld\n", i, workers[i].result);
      free(workers[i].c_stack);
    }
    printf("round %d: %d switches\n", round, switches);
  }
  return 0;
}
