// Tests of which runs get a thread each. Prints what failed and returns 1, or nothing and 0. That
// the numbers stay the same is tested in tests/kernels/.
#include <cstdio>
#include <stdexcept>
#include <vector>

#include "../kernels/side_by_side.h"

namespace {

using namespace seqstate;

int failures = 0;

void check(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "%s\n", what);
  ++failures;
}

// Does what it is given on the calling thread, and remembers how many items came at a time.
class Counting final : public Executor {
 public:
  explicit Counting(int threads) : threads_(threads) {}
  int threads() const override { return threads_; }
  void run(int64_t count, void (*task)(void*, int64_t), void* context) override {
    counts.push_back(count);
    for (int64_t i = 0; i < count; ++i) task(context, i);
  }

  std::vector<int64_t> counts;

 private:
  int threads_;
};

// A stand-in for the kernels: how many threads each run was given.
std::vector<int> given;
bool fails = false;

void note(const Run& run, const Packed*, Executor& executor) {
  given.push_back(executor.threads());
  if (fails && run.go_backwards) throw std::runtime_error("a run failed");
}

void note_gradient(const Gradient& wanted, Executor& executor) {
  note(wanted.run, nullptr, executor);
}

const Kernels kNoting{"noting", 1, true, note, note_gradient, nullptr, nullptr, nullptr};

Gradient direction(int64_t batch, int64_t time, int64_t units, bool go_backwards) {
  Gradient gradient{};
  Cell& cell = gradient.run.cell;
  cell = {Kind::lstm, false, Activation::tanh, Activation::sigmoid, 16, units};
  gradient.run.batch = batch;
  gradient.run.time = time;
  gradient.run.go_backwards = go_backwards;
  return gradient;
}

// Whether the two runs got one thread each of so many, forward and for the gradient alike.
bool side_by_side(const Gradient& a, const Gradient& b, int threads) {
  std::vector<bool> found;
  for (const bool gradient : {false, true}) {
    Counting executor(threads);
    given.clear();
    if (gradient) gradient_all(kNoting, {&a, &b}, executor);
    else forward_all(kNoting, {&a.run, &b.run}, executor);
    const bool side = executor.counts == std::vector<int64_t>{2};
    check(side || executor.counts.empty(), "threads were asked for in another way");
    check(given == std::vector<int>(2, side ? 1 : threads), "a run had the wrong threads");
    found.push_back(side);
  }
  check(found[0] == found[1], "the gradient went another way than the run");
  return found[0];
}

bool two(int64_t batch, int64_t time, int64_t units, int threads) {
  return side_by_side(direction(batch, time, units, false), direction(batch, time, units, true),
                      threads);
}

}  // namespace

int main() {
  check(two(1, 100, 64, 2), "one row: not side by side");
  check(two(16, 100, 64, 2), "few rows: not side by side");
  check(!two(64, 100, 64, 2), "many rows: side by side");
  check(!two(1, 100, 64, 1), "one thread: side by side");
  check(!two(1, 1, 16, 2), "next to no work: side by side");
  check(two(1, 100, 64, 8), "one row, more threads than runs: not side by side");
  check(!two(1, 100, 512, 8), "large steps, more threads than runs: side by side");
  check(!two(8, 100, 16, 8), "a row a thread: side by side");
  check(!side_by_side(direction(1, 100, 64, false), direction(1, 100, 512, true), 2),
        "runs of very different length: side by side");

  fails = true;
  bool thrown = false;
  try {
    two(1, 100, 64, 2);
  } catch (const std::runtime_error&) {
    thrown = true;
  }
  check(thrown, "what a run throws was lost");
  return failures != 0;
}
