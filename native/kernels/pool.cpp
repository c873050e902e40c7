#include "pool.h"

#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "alone.h"
#include "processors.h"

namespace seqstate {

namespace {

// About 10 microseconds of pauses, then about 150 in which others may have the CPU: within that
// time the next run of a training step usually comes. To wake a sleeping thread costs about 10.
constexpr int kSpins = 300;
constexpr int kYields = 200;

// How many forks lie between the process that loaded the library and this one.
std::atomic<int> forks{0};
[[maybe_unused]] const int watched = pthread_atfork(
    nullptr, nullptr, [] { forks.fetch_add(1, std::memory_order_relaxed); });

void relax() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

template <class Ready>
bool spin_until(Ready&& ready) {
  for (int i = 0; i < kSpins; ++i) {
    if (ready()) return true;
    relax();
  }
  return false;
}

[[noreturn]] void refuse(const std::string& where, const std::string& got) {
  throw std::invalid_argument(where + ": got " + got + "; expected a whole number from 1 to " +
                              std::to_string(kMaxThreads));
}

}  // namespace

// The workers of one process, and the one job that they are at.
class Pool::Team {
 public:
  ~Team() { stop(); }

  bool of_this_process() const { return forks_ == forks.load(std::memory_order_relaxed); }

  // Whoever gets true works with the team until it says release.
  bool acquire() { return !taken_.exchange(true, std::memory_order_acquire); }
  void release() { taken_.store(false, std::memory_order_release); }

  void resize(int workers) {
    if (workers == wanted_) return;
    stop();
    start(workers);
  }

  void run(int64_t count, void (*task)(void*, int64_t), void* context) {
    task_ = task;
    context_ = context;
    count_ = count;
    pending_.store(count, std::memory_order_relaxed);
    unclaimed_.store(count);  // publishes all of the above
    wake(count - 1);
    finish(work());
    wait_for_workers();
  }

 private:
  // Claim items and do them until none is left; gives how many were done. An item can only be
  // claimed while its job runs, and the job then lasts until it is done: so its description is
  // read after the claim, and a worker that comes late finds either nothing or the next job.
  int64_t work() {
    int64_t done = 0;
    int64_t left = unclaimed_.load(std::memory_order_acquire);
    while (left > 0) {
      if (!unclaimed_.compare_exchange_weak(left, left - 1, std::memory_order_acq_rel)) continue;
      task_(context_, count_ - left);
      ++done;
      left = unclaimed_.load(std::memory_order_acquire);
    }
    return done;
  }

  // Items of this job are done. The last one to say so wakes the caller if it went to sleep.
  void finish(int64_t done) {
    if (done == 0 || pending_.fetch_sub(done) != done) return;
    if (caller_asleep_.load() == 0) return;
    caller_asleep_.store(0);
    caller_asleep_.notify_one();
  }

  // What the workers claimed is under way. If it takes long, because another process has their
  // CPU, sleep: that leaves this CPU to them, and a waking thread goes before a busy one, where
  // one that yields goes behind it.
  void wait_for_workers() {
    const auto done = [this] { return pending_.load() == 0; };
    while (!spin_until(done)) {
      caller_asleep_.store(1);
      if (!done()) caller_asleep_.wait(1);
      caller_asleep_.store(0);
    }
  }

  void wake(int64_t useful) {
    const int asleep = asleep_.load();
    const int64_t awake = static_cast<int64_t>(workers_.size()) - asleep;
    if (asleep == 0 || awake >= useful) return;
    calls_.fetch_add(1);
    if (useful - awake == 1) {
      calls_.notify_one();
    } else {
      calls_.notify_all();
    }
  }

  void live() {
    const auto called = [this] { return unclaimed_.load() > 0 || stopping_.load(); };
    while (!stopping_.load()) {
      finish(work());
      bool found = spin_until(called);
      for (int i = 0; i < kYields && !found; ++i) {
        std::this_thread::yield();
        found = called();
      }
      if (found) continue;
      // Either this sees the job, or who brings the job sees this asleep and changes `calls_`.
      const int calls = calls_.load();
      asleep_.fetch_add(1);
      if (!called()) calls_.wait(calls);
      asleep_.fetch_sub(1);
    }
  }

  void start(int workers) {
    wanted_ = workers;
    // Signals are for the threads of the host program.
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    try {
      workers_.reserve(static_cast<size_t>(workers));
      for (int i = 0; i < workers; ++i) workers_.emplace_back([this] { live(); });
    } catch (const std::exception&) {
      // The system gives no more threads, or no memory: those that there are do the work.
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }

  void stop() {
    stopping_.store(true);
    calls_.fetch_add(1);
    calls_.notify_all();
    for (std::thread& worker : workers_) worker.join();
    workers_.clear();
    stopping_.store(false);
  }

  const int forks_ = forks.load(std::memory_order_relaxed);
  std::atomic<bool> taken_{false};
  int wanted_ = 0;
  std::vector<std::thread> workers_;

  void (*task_)(void*, int64_t) = nullptr;
  void* context_ = nullptr;
  int64_t count_ = 0;

  // Apart from each other, because different threads write them.
  alignas(64) std::atomic<int64_t> unclaimed_{0};
  alignas(64) std::atomic<int64_t> pending_{0};
  std::atomic<int> caller_asleep_{0};
  alignas(64) std::atomic<int> asleep_{0};
  std::atomic<int> calls_{0};
  std::atomic<bool> stopping_{false};
};

// The threads of a team from before a fork are not here, and it may be in any condition: it is
// left as it is.
Pool::~Pool() {
  Team* team = team_.load();
  if (team != nullptr && team->of_this_process()) delete team;
}

Pool::Team& Pool::team() {
  Team* team = team_.load(std::memory_order_acquire);
  if (team != nullptr && team->of_this_process()) return *team;
  Team* made = new Team;
  // Without a lock, because a fork could leave one locked.
  if (team_.compare_exchange_strong(team, made, std::memory_order_acq_rel)) return *made;
  delete made;
  return *team;
}

void Pool::run(int64_t count, void (*task)(void*, int64_t), void* context) {
  const int wanted = threads();
  if (count > 1 && wanted > 1) {
    Team& mine = team();
    if (mine.acquire()) {
      mine.resize(wanted - 1);
      mine.run(count, task, context);
      mine.release();
      return;
    }
  }
  Alone().run(count, task, context);
}

int configured_threads() {
  const char* text = std::getenv("SEQSTATE_NUM_THREADS");
  if (text == nullptr || *text == '\0') return std::min(usable_processors(), kMaxThreads);
  int threads = 0;
  const char* end = text + std::strlen(text);
  const auto [rest, error] = std::from_chars(text, end, threads);
  if (error != std::errc() || rest != end || threads < 1 || threads > kMaxThreads) {
    refuse("SEQSTATE_NUM_THREADS", '"' + std::string(text) + '"');
  }
  return threads;
}

Pool& pool() {
  static Pool* const only = new Pool(configured_threads());
  return *only;
}

void set_threads(int threads) {
  if (threads < 1 || threads > kMaxThreads) refuse("set_threads", std::to_string(threads));
  pool().resize(threads);
}

}  // namespace seqstate
