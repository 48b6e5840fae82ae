// Coroutines on top of asyncify, with the loop that resumes them inside of the guest: written for Binaryen's pass.
//
// A coroutine has two stacks in its block: the one that C uses (`__stack_pointer` goes down in it), and the buffer that asyncify
// unwinds the calls into. `yield` is entered twice for each switch, `resume` and `yield` are the two functions that neither unwind nor
// rewind themselves.

typedef unsigned int u32;
typedef unsigned long long u64;

#define IMPORT(module, name) __attribute__((import_module(module), import_name(name)))
#define EXPORT(name) __attribute__((export_name(name)))
#define NOINLINE __attribute__((noinline))

struct buffer {
  char *current;
  char *end;
};

IMPORT("asyncify", "start_unwind") void start_unwind(struct buffer *);
IMPORT("asyncify", "stop_unwind") void stop_unwind(void);
IMPORT("asyncify", "start_rewind") void start_rewind(struct buffer *);
IMPORT("asyncify", "stop_rewind") void stop_rewind(void);
IMPORT("env", "print") void print(u32 who, u32 what);

enum { COROUTINES = 6, C_STACK = 8192, FRAMES = 8192, QUEUE = 4 };

enum state { NEW, RUNNING, YIELDING, RESUMING, DONE };

struct coroutine {
  enum state state;
  u32 id;
  u32 (*entry)(struct coroutine *, u32);
  u32 argument;
  u32 result;
  char *stack_pointer;
  struct buffer buffer;
  char frames[FRAMES];
  _Alignas(16) char c_stack[C_STACK];
};

static struct coroutine coroutines[COROUTINES];
static struct coroutine *running;
// Whether buffers are used for something else once they were rewound.
static int overwrites;

// The two stack pointers. LLVM sees no reason why the writes should not be there.
static inline char *get_stack_pointer(void) {
  char *pointer;
  __asm__ volatile(".globaltype __stack_pointer, i32\n"
                   "global.get __stack_pointer\n"
                   "local.set %0"
                   : "=r"(pointer));
  return pointer;
}

static inline void set_stack_pointer(char *pointer) {
  __asm__ volatile(".globaltype __stack_pointer, i32\n"
                   "local.get %0\n"
                   "global.set __stack_pointer"
                   :
                   : "r"(pointer)
                   : "memory");
}

// Leaves the running coroutine; the next `resume` comes back.
NOINLINE static void yield(void) {
  struct coroutine *self = running;
  if (self->state == RESUMING) {
    stop_rewind();
    self->state = RUNNING;
    for (u32 i = 0; overwrites && i < FRAMES; i++)
      self->frames[i] = (char)0xa5;
    return;
  }
  self->state = YIELDING;
  self->buffer.current = self->frames;
  self->buffer.end = self->frames + FRAMES;
  start_unwind(&self->buffer);
}

NOINLINE static void enter(struct coroutine *self) { self->result = self->entry(self, self->argument); }

// Runs a coroutine until it yields or is done.
NOINLINE static void resume(struct coroutine *self) {
  char *own = get_stack_pointer();
  running = self;
  if (self->state == NEW) {
    self->state = RUNNING;
    set_stack_pointer(self->c_stack + C_STACK);
  } else {
    self->state = RESUMING;
    set_stack_pointer(self->stack_pointer);
    start_rewind(&self->buffer);
  }
  enter(self);
  if (self->state == YIELDING) {
    stop_unwind();
    self->stack_pointer = get_stack_pointer();
  } else {
    self->state = DONE;
  }
  set_stack_pointer(own);
}

// A queue between coroutines, that makes them wait.
static u32 queue[QUEUE];
static u32 sent, received;
static u32 senders;

static void put(u32 value) {
  while (sent - received == QUEUE)
    yield();
  queue[sent++ % QUEUE] = value;
}

static int take(u32 *value) {
  while (sent == received) {
    if (senders == 0)
      return 0;
    yield();
  }
  *value = queue[received++ % QUEUE];
  return 1;
}

// The coroutines.

static u32 primes(struct coroutine *self, u32 limit) {
  u32 found[32];
  u32 count = 0;
  for (u32 n = 2; n < limit; n++) {
    u32 i = 0;
    while (i < count && n % found[i] != 0)
      i++;
    if (i < count)
      continue;
    if (count < 32)
      found[count++] = n;
    print(self->id, n);
    put(n);
  }
  senders--;
  return count;
}

static u32 fibonacci(struct coroutine *self, u32 n) {
  yield();
  if (n < 2)
    return n;
  // Twice through the stack of calls, and arrays of C's own on it.
  volatile u32 parts[3] = {fibonacci(self, n - 1), n, 0};
  parts[2] = fibonacci(self, n - 2);
  return parts[0] + parts[2];
}

static u64 mix(u64 state, double weight) {
  yield();
  return state * 6364136223846793005ull + (u64)(weight * 1024.0);
}

static u32 numbers(struct coroutine *self, u32 rounds) {
  u64 state = self->id;
  double weight = 0.5;
  float small = 1.0f;
  for (u32 i = 0; i < rounds; i++) {
    state = mix(state, weight);
    weight = weight * 1.5 + (double)small;
    small += 0.25f;
    if (i % 4 == 0)
      print(self->id, (u32)(state >> 32));
  }
  return (u32)(state >> 32) ^ (u32)weight;
}

static u32 sum(struct coroutine *self, u32 _limit) {
  (void)_limit;
  u32 total = 0;
  u32 value;
  while (take(&value)) {
    total += value;
    print(self->id, total);
  }
  return total;
}

// Through function pointers, in a sort of its own.
static int ascending(u32 a, u32 b) {
  yield();
  return a < b ? -1 : a > b;
}

static int descending(u32 a, u32 b) { return -ascending(a, b); }

static int silent(u32 a, u32 b) { return (int)(a % 10) - (int)(b % 10); }

static int (*const ORDERS[])(u32, u32) = {ascending, descending, silent};

static void merge_sort(u32 *values, u32 count, int (*compare)(u32, u32)) {
  if (count < 2)
    return;
  u32 half = count / 2;
  merge_sort(values, half, compare);
  merge_sort(values + half, count - half, compare);
  u32 merged[64];
  u32 left = 0, right = half;
  for (u32 i = 0; i < count; i++)
    merged[i] = right == count || (left < half && compare(values[left], values[right]) <= 0) ? values[left++]
                                                                                            : values[right++];
  for (u32 i = 0; i < count; i++)
    values[i] = merged[i];
}

static u32 sorts(struct coroutine *self, u32 count) {
  u32 values[64];
  u32 hash = 2166136261u;
  for (u32 order = 0; order < 3; order++) {
    u32 state = 12345 + self->id;
    for (u32 i = 0; i < count; i++)
      values[i] = (state = state * 1103515245 + 12345) >> 16 & 0x3ff;
    merge_sort(values, count, ORDERS[order]);
    for (u32 i = 0; i < count; i++)
      hash = (hash ^ values[i]) * 16777619;
    print(self->id, hash);
  }
  return hash;
}

static const struct {
  u32 (*entry)(struct coroutine *, u32);
  u32 argument;
} WORK[COROUTINES] = {{primes, 60}, {sum, 0}, {fibonacci, 9}, {numbers, 50}, {sorts, 40}, {sum, 0}};

// Round robin until all are done; the sum of their results.
EXPORT("run") u32 run(u32 skip, int stable) {
  overwrites = !stable;
  sent = received = 0;
  senders = 1;
  for (u32 i = 0; i < COROUTINES; i++) {
    coroutines[i].state = NEW;
    coroutines[i].id = i + 1;
    coroutines[i].entry = WORK[i].entry;
    coroutines[i].argument = WORK[i].argument;
  }
  u32 total = 0, switches = 0;
  for (u32 alive = COROUTINES; alive > 0;) {
    for (u32 i = 0; i < COROUTINES; i++) {
      struct coroutine *next = &coroutines[(i * (skip + 1)) % COROUTINES];
      if (next->state == DONE)
        continue;
      resume(next);
      switches++;
      if (next->state == DONE) {
        alive--;
        total += next->result;
        print(100 + next->id, next->result);
      }
    }
  }
  print(0, switches);
  return total;
}
