// Exceptions in C++, as clang writes them for wasm, with sleeps wherever there is a `try` around: in its body, in its handlers, in
// destructors that run while the stack unwinds.

#include <stdexcept>
#include <string>
#include <vector>

#define HOST(name) extern "C" __attribute__((import_module("env"), import_name(#name)))
#define EXPORT(name) extern "C" __attribute__((export_name(#name)))

// Suspends; gives what it is given.
HOST(sleep) int nap(int value);

HOST(note) void note(int value);

namespace {

struct Failure {
  int code;
  explicit Failure(int code) : code(code) {}
  virtual ~Failure() = default;
  virtual int weight() const { return code; }
};

struct Worse : Failure {
  std::string reason;
  Worse(int code, std::string reason) : Failure(code), reason(std::move(reason)) {}
  int weight() const override { return code * 100 + static_cast<int>(reason.size()); }
};

/// Says in its destructor whether an exception is on its way, before and after a sleep.
struct Sleeper {
  int number;
  explicit Sleeper(int number) : number(number) { note(nap(number)); }
  ~Sleeper() {
    note(1000 + std::uncaught_exceptions());
    note(nap(2000 + number));
    note(3000 + std::uncaught_exceptions());
  }
};

/// Throws, sleeps and catches in its destructor, while another exception may be on its way.
struct Stubborn {
  int number;
  ~Stubborn() {
    try {
      Sleeper inner(number);
      nap(0);
      throw number;
    } catch (int caught) {
      note(4000 + nap(caught));
    }
  }
};

int risky(int n) {
  int got = nap(n);
  if (n % 5 == 1)
    throw got;
  if (n % 5 == 2)
    throw Failure(got);
  if (n % 5 == 3)
    throw Worse(got, "worse and worse");
  if (n % 5 == 4)
    throw std::runtime_error("error " + std::to_string(nap(got)));
  return got;
}

/// Between who throws and who catches.
__attribute__((noinline)) int through(int n) {
  Sleeper first(10 + n);
  int sum = risky(n);
  Sleeper second(20 + n);
  return sum + risky(n + 5);
}

__attribute__((noinline)) int classify(int n) {
  try {
    return through(n);
  } catch (const Worse &worse) {
    int before = worse.weight();
    return nap(before) + worse.weight();
  } catch (const Failure &failure) {
    return nap(50) + failure.weight();
  } catch (const std::exception &error) {
    std::string what = error.what();
    nap(1);
    return static_cast<int>(what.size()) * 1000 + error.what()[0];
  } catch (...) {
    return nap(-1);
  }
}

/// Each level catches, sleeps and throws on: the same exception, or one of its own.
__attribute__((noinline)) int deep(int level, int n) {
  Sleeper sleeper(level);
  try {
    return level == 0 ? risky(n) : deep(level - 1, nap(n)) + 1;
  } catch (Failure &failure) {
    failure.code += nap(level);
    throw;
  } catch (int code) {
    if (nap(code) > 40)
      throw Worse(code, "too much");
    throw code + level;
  } catch (...) {
    nap(level);
    note(5000 + level);
    throw;
  }
}

}  // namespace

/// In the body.
EXPORT(bodies) int bodies(int n) {
  int sum = 0;
  for (int i = 0; i < 5; i++) {
    try {
      for (int j = 0; j < 3; j++) {
        sum += nap(j);
        if (nap(i) == 2 && j == 1)
          break;
        if (i == 3)
          throw sum;
      }
      sum = sum * 3 + classify(n + i);
      if (i == 1)
        continue;
      note(nap(sum));
    } catch (int caught) {
      sum += caught * 7;
    }
  }
  return sum;
}

/// In handlers, and in those of handlers.
EXPORT(handlers) int handlers(int n) {
  try {
    return deep(n % 7, n);
  } catch (const Failure &outer) {
    int weight = nap(outer.weight());
    try {
      weight += classify(nap(n + 1));
      weight += deep(2, n + 1);
    } catch (const Failure &inner) {
      weight += nap(inner.weight()) * 3 + outer.weight();
    } catch (...) {
      weight += nap(9) + outer.weight();
    }
    return weight + outer.weight();
  } catch (int code) {
    return nap(code) + code;
  } catch (const std::exception &error) {
    return nap(static_cast<int>(std::string(error.what()).size())) + error.what()[6];
  }
}

/// In destructors, one of which throws and catches for itself.
EXPORT(destructors) int destructors(int n) {
  int sum = 0;
  try {
    std::vector<Stubborn> many(2, Stubborn{n});
    Stubborn one{n + 1};
    Sleeper another(n + 2);
    sum = classify(n);
    if (nap(n) % 2 == 0)
      throw Worse(n, std::string(static_cast<size_t>(nap(40)), 'x'));
    sum += 1;
  } catch (const Failure &failure) {
    Stubborn last{failure.code};
    sum += nap(failure.weight());
  }
  return sum + std::uncaught_exceptions();
}

/// Out of a handler into the next one, until nobody is left.
EXPORT(rethrows) int rethrows(int n) {
  int sum = 0;
  try {
    try {
      try {
        sum += risky(n);
      } catch (int) {
        sum += nap(1);
        throw;
      } catch (...) {
        sum += nap(10);
        throw;
      }
    } catch (const Worse &worse) {
      sum += nap(100) + worse.weight();
      throw Failure(nap(sum));
    } catch (...) {
      sum += nap(1000);
      risky(n + 1);
      throw;
    }
  } catch (int code) {
    sum += code * 3;
  } catch (const Failure &failure) {
    sum += failure.weight() * 5;
  } catch (...) {
    sum += nap(10000);
  }
  return sum;
}
