#include "side_by_side.h"

#include <algorithm>
#include <cstdint>
#include <exception>

#include "alone.h"

namespace seqstate {

namespace {

// Operations of a run, or of its gradient, below which waking a thread costs more than it saves.
constexpr int64_t kWorthAThread = 100000;
// More rows than these keep two threads busy by themselves, and go to whichever of them is free.
constexpr int64_t kFewRows = 16;
// A step of so few operations gains nothing from more than one thread.
constexpr int64_t kSmallStep = 65536;

// Whether each run gets one thread, or all threads work at one run after the other. Threads that
// share a run with few rows wait for each other at every step, or find nothing to share. More
// threads than runs would partly stand idle, so there only rows that are too few and steps that
// are too short for them count.
bool side_by_side(const std::vector<const Run*>& runs, int64_t passes, int threads) {
  if (runs.size() < 2 || threads < 2) return false;
  const auto count = static_cast<int64_t>(runs.size());
  int64_t rows = 0, step = 0, least = INT64_MAX, most = 0;
  for (const Run* run : runs) {
    const int64_t work = passes * run->step_work() * run->time;
    rows = std::max(rows, run->batch);
    step = std::max(step, run->step_work());
    least = std::min(least, work);
    most = std::max(most, work);
  }
  // A thread that is done much earlier had better helped the other one.
  if (least < kWorthAThread || most > 2 * least) return false;
  return threads <= count ? rows <= kFewRows : rows * count <= threads && step <= kSmallStep;
}

// Tasks of an executor do not throw, so what one of them throws waits for the end of all.
template <class Compute>
void on_one_thread_each(int64_t count, Executor& executor, const Compute& compute) {
  std::vector<std::exception_ptr> errors(static_cast<size_t>(count));
  parallel(executor, count, [&](int64_t i) {
    try {
      Alone alone;
      compute(i, alone);
    } catch (...) {
      errors[static_cast<size_t>(i)] = std::current_exception();
    }
  });
  for (const std::exception_ptr& error : errors) {
    if (error) std::rethrow_exception(error);
  }
}

template <class Compute>
void all(const std::vector<const Run*>& runs, int64_t passes, Executor& executor,
         const Compute& compute) {
  const auto count = static_cast<int64_t>(runs.size());
  if (side_by_side(runs, passes, executor.threads())) {
    return on_one_thread_each(count, executor, compute);
  }
  for (int64_t i = 0; i < count; ++i) compute(i, executor);
}

}  // namespace

void forward_all(const Kernels& kernels, const std::vector<const Run*>& runs, Executor& executor) {
  all(runs, 1, executor, [&](int64_t i, Executor& threads) {
    kernels.forward(*runs[static_cast<size_t>(i)], nullptr, threads);
  });
}

void gradient_all(const Kernels& kernels, const std::vector<const Gradient*>& wanted,
                  Executor& executor) {
  std::vector<const Run*> runs;
  for (const Gradient* one : wanted) runs.push_back(&one->run);
  all(runs, 3, executor, [&](int64_t i, Executor& threads) {
    kernels.gradient(*wanted[static_cast<size_t>(i)], threads);
  });
}

}  // namespace seqstate
