// Tests of the thread pool. Prints what failed and returns 1, or prints nothing and returns 0.
#include "../kernels/pool.h"
#include "../kernels/processors.h"

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#if defined(__SANITIZE_THREAD__)
#define THREAD_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define THREAD_SANITIZER 1
#endif
#endif

namespace {

using seqstate::parallel;
using seqstate::Pool;

std::atomic<int> failures{0};

#define CHECK(condition)                                                          \
  do {                                                                            \
    if (!(condition)) {                                                           \
      std::fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
      ++failures;                                                                 \
    }                                                                             \
  } while (false)

// Whether each of `count` items is done once and what they wrote is seen after the run.
bool each_once(Pool& pool, int64_t count) {
  std::vector<int> done(static_cast<size_t>(count), 0);
  parallel(pool, count, [&](int64_t i) { done[static_cast<size_t>(i)] += 1; });
  for (int times : done) {
    if (times != 1) return false;
  }
  return true;
}

void each_item_once() {
  for (int threads : {1, 2, 3, 7}) {
    Pool pool(threads);
    CHECK(pool.threads() == threads);
    for (int64_t count : {0, 1, 2, 3, 10, 1000}) {
      for (int i = 0; i < 50; ++i) CHECK(each_once(pool, count));
    }
  }
}

// Runs that come before the workers sleep, while they yield and after they went to sleep.
void after_pauses() {
  Pool pool(3);
  for (int microseconds : {0, 5, 50, 500, 20000}) {
    for (int i = 0; i < 10; ++i) {
      std::this_thread::sleep_for(std::chrono::microseconds(microseconds));
      CHECK(each_once(pool, 5));
    }
  }
}

// Every item waits for the one before it: this ends only if a claimed item never has a smaller
// one that nobody has begun.
void begun_in_order() {
  Pool pool(4);
  for (int i = 0; i < 50; ++i) {
    std::atomic<int64_t> next{0};
    parallel(pool, 100, [&](int64_t item) {
      while (next.load() != item) std::this_thread::yield();
      next.store(item + 1);
    });
    CHECK(next.load() == 100);
  }
}

// How many threads take part: tries until it has seen two.
size_t threads_seen(Pool& pool) {
  std::set<std::thread::id> seen;
  for (int i = 0; i < 1000 && seen.size() < 2; ++i) {
    std::vector<std::thread::id> by(2);
    parallel(pool, 2, [&](int64_t item) {
      by[static_cast<size_t>(item)] = std::this_thread::get_id();
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    });
    seen.insert(by.begin(), by.end());
  }
  return seen.size();
}

void workers_take_part() {
  Pool pool(2);
  CHECK(threads_seen(pool) == 2);
}

void from_several_threads() {
  Pool pool(3);
  std::vector<std::thread> callers;
  for (int c = 0; c < 4; ++c) {
    callers.emplace_back([&] {
      for (int i = 0; i < 2000; ++i) CHECK(each_once(pool, 1 + i % 7));
    });
  }
  for (std::thread& caller : callers) caller.join();
}

void nested() {
  Pool pool(3);
  std::atomic<int> done{0};
  for (int i = 0; i < 200; ++i) {
    parallel(pool, 4, [&](int64_t) { parallel(pool, 5, [&](int64_t) { ++done; }); });
  }
  CHECK(done.load() == 200 * 4 * 5);
}

void resized() {
  Pool pool(2);
  for (int threads : {5, 1, 3, 3, 2}) {
    pool.resize(threads);
    CHECK(pool.threads() == threads);
    for (int i = 0; i < 20; ++i) CHECK(each_once(pool, 9));
  }
  // While others run.
  std::thread other([&] {
    for (int i = 0; i < 2000; ++i) CHECK(each_once(pool, 4));
  });
  for (int i = 0; i < 40; ++i) {
    pool.resize(1 + i % 4);
    CHECK(each_once(pool, 8));
  }
  other.join();
}

// Run `body` in a forked child and give its exit code, or -1 if it was still there after 20 s.
int in_child(const std::function<int()>& body) {
  const pid_t child = fork();
  if (child == 0) _exit(body());
  for (int i = 0; i < 2000; ++i) {
    int status = 0;
    if (waitpid(child, &status, WNOHANG) == child) {
      return WIFEXITED(status) ? WEXITSTATUS(status) : -2;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  return -1;
}

int runs_well(Pool& pool) {
  for (int i = 0; i < 100; ++i) {
    if (!each_once(pool, 6)) return 1;
  }
  if (threads_seen(pool) < 2) return 2;
  pool.resize(pool.threads() == 3 ? 2 : 3);
  return each_once(pool, 6) ? 0 : 3;
}

[[maybe_unused]] void forked() {
  Pool pool(3);
  CHECK(in_child([&] { return runs_well(pool); }) == 0);  // before the first run
  CHECK(runs_well(pool) == 0);
  CHECK(in_child([&] { return runs_well(pool); }) == 0);  // while the workers idle
  CHECK(in_child([&] {
          return runs_well(pool) + in_child([&] { return runs_well(pool); });
        }) == 0);
  // While another thread is inside a run, which the child never sees the end of.
  std::atomic<bool> stop{false};
  std::thread other([&] {
    while (!stop.load()) each_once(pool, 50);
  });
  for (int i = 0; i < 10; ++i) CHECK(in_child([&] { return runs_well(pool); }) == 0);
  stop.store(true);
  other.join();
  CHECK(runs_well(pool) == 0);
}

int configured(const char* text) {
  setenv("SEQSTATE_NUM_THREADS", text, 1);
  int threads = 0;
  try {
    threads = seqstate::configured_threads();
  } catch (const std::invalid_argument& error) {
    CHECK(std::string(error.what()).find("SEQSTATE_NUM_THREADS") != std::string::npos);
    CHECK(std::string(error.what()).find(text) != std::string::npos);
    threads = -1;
  }
  unsetenv("SEQSTATE_NUM_THREADS");
  return threads;
}

void from_the_environment() {
  CHECK(configured("1") == 1);
  CHECK(configured("3") == 3);
  CHECK(configured("1024") == 1024);
  for (const char* bad : {"0", "-1", "two", "2x", " 2", "2 ", "1025", "99999999999", "1.5"}) {
    CHECK(configured(bad) == -1);
  }
  const int usable = seqstate::configured_threads();
  CHECK(usable >= 1);
  CHECK(configured("") == usable);
}

void of_a_quota() {
  using seqstate::processors_of_quota;
  CHECK(processors_of_quota("200000 100000\n") == 2);
  CHECK(processors_of_quota("150000 100000") == 2);
  CHECK(processors_of_quota("20000 100000") == 1);
  for (const char* none : {"", "max 100000", "-1\n 100000", "max", "100000", "100000 0"}) {
    CHECK(processors_of_quota(none) == 0);
  }
}

void of_the_process() {
  seqstate::set_threads(3);
  CHECK(&seqstate::pool() == &seqstate::pool());
  CHECK(seqstate::pool().threads() == 3);
  CHECK(each_once(seqstate::pool(), 10));
  for (int bad : {0, -1, seqstate::kMaxThreads + 1}) {
    bool refused = false;
    try {
      seqstate::set_threads(bad);
    } catch (const std::invalid_argument&) {
      refused = true;
    }
    CHECK(refused);
  }
  CHECK(seqstate::pool().threads() == 3);
}

}  // namespace

int main() {
  each_item_once();
  after_pauses();
  begun_in_order();
  workers_take_part();
  from_several_threads();
  nested();
  resized();
#ifndef THREAD_SANITIZER  // which allows no new threads after a fork
  forked();
#endif
  from_the_environment();
  of_a_quota();
  of_the_process();  // last: its workers are there when the process ends
  if (failures > 0) std::fprintf(stderr, "%d checks failed\n", failures.load());
  return failures > 0 ? 1 : 0;
}
