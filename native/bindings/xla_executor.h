// Threads of XLA's own pool, so that a run adds none to those that XLA has.
#pragma once

#include <algorithm>
#include <atomic>
#include <memory>
#include <new>
#include <thread>

#include "../kernels/executor.h"
#include "xla/ffi/api/ffi.h"

namespace seqstate {

class XlaExecutor final : public Executor {
 public:
  // At most `limit` threads, the caller's included.
  XlaExecutor(const xla::ffi::ThreadPool& pool, int limit) : pool_(pool), limit_(limit) {}

  int threads() const override {
    if (threads_ == 0) {
      threads_ = static_cast<int>(std::clamp<int64_t>(pool_.num_threads(), 1, limit_));
    }
    return threads_;
  }

  void run(int64_t count, void (*task)(void*, int64_t), void* context) override {
    const int64_t helpers = std::min<int64_t>(threads(), count) - 1;
    if (helpers <= 0) {
      for (int64_t i = 0; i < count; ++i) task(context, i);
      return;
    }
    // Shared, because a helper that gets its turn late looks at the counter after the run is over.
    auto job = std::make_shared<Job>(count, task, context);
    try {
      for (int64_t i = 0; i < helpers; ++i) pool_.Schedule([job] { job->work(); });
    } catch (const std::bad_alloc&) {
      // Then there are fewer helpers; those that were called are at work on what the caller owns.
    }
    job->work();
    job->wait();
  }

 private:
  // Items are claimed in order by whoever is free. The caller waits for claimed items only: with
  // every thread of the pool busy elsewhere it does them all itself.
  struct Job {
    Job(int64_t count, void (*task)(void*, int64_t), void* context)
        : count(count), task(task), context(context) {}

    void work() {
      for (int64_t i = next.fetch_add(1, std::memory_order_relaxed); i < count;
           i = next.fetch_add(1, std::memory_order_relaxed)) {
        task(context, i);
        if (done.fetch_add(1, std::memory_order_acq_rel) + 1 == count) done.notify_one();
      }
    }

    void wait() {
      // A short while of yielding first: the last items of a run end at nearly the same time.
      for (int i = 0; i < kYields; ++i) {
        if (done.load(std::memory_order_acquire) == count) return;
        std::this_thread::yield();
      }
      for (int64_t seen = done.load(std::memory_order_acquire); seen != count;
           seen = done.load(std::memory_order_acquire)) {
        done.wait(seen, std::memory_order_acquire);
      }
    }

    static constexpr int kYields = 100;
    const int64_t count;
    void (*const task)(void*, int64_t);
    void* const context;
    std::atomic<int64_t> next{0};
    std::atomic<int64_t> done{0};
  };

  xla::ffi::ThreadPool pool_;
  int limit_;
  mutable int threads_ = 0;
};

}  // namespace seqstate
