// The thread pool of the library, for callers that bring none of their own.
#pragma once

#include <atomic>
#include <cstdint>

#include "executor.h"

namespace seqstate {

constexpr int kMaxThreads = 1024;

// Threads that are started when the first run needs them, kept, and asleep while there is nothing
// to do. Any thread may call run at any time: while the pool works for one caller, another one
// (or a task of the first) does its items alone. A process that was forked finds the pool without
// threads and starts its own.
class Pool final : public Executor {
 public:
  // At least 1 and at most kMaxThreads, the caller's thread included.
  explicit Pool(int threads) : threads_(threads) {}
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  int threads() const override { return threads_.load(std::memory_order_relaxed); }
  // Holds from the next run on.
  void resize(int threads) { threads_.store(threads, std::memory_order_relaxed); }
  void run(int64_t count, void (*task)(void* context, int64_t item), void* context) override;

 private:
  class Team;
  Team& team();

  std::atomic<int> threads_;
  std::atomic<Team*> team_{nullptr};
};

// SEQSTATE_NUM_THREADS, or if that is not set or empty the number of processors that this process
// may use. Throws std::invalid_argument if it holds anything but a number from 1 to kMaxThreads.
int configured_threads();

// The pool of the process, made on first use with configured_threads(), whose error it passes on.
// It is never destroyed: its threads sleep on it until the process is gone.
Pool& pool();

// Change how many threads the pool of the process uses from the next run on. Throws
// std::invalid_argument unless `threads` is from 1 to kMaxThreads.
void set_threads(int threads);

}  // namespace seqstate
