// Which of two ways to do the same work is faster now: alone, or with others.
//
// Threads that wait for each other at every step gain when each has a core to itself, and lose
// when two of them share one, or when another program has it. That changes within seconds and
// can't be asked for, so it is measured on the work itself.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

namespace seqstate::SEQSTATE_BUILD {

class Pace {
 public:
  // Whether the next piece of work should be shared. Now and then the way that was slower is
  // tried, twice: the first time the others may have to wake up.
  bool shares() {
    const uint32_t turn = turns_.fetch_add(1, std::memory_order_relaxed) % kRound;
    const float alone = alone_.load(std::memory_order_relaxed);
    const float shared = shared_.load(std::memory_order_relaxed);
    const bool better = alone == 0.0f || shared <= alone;
    return turn < kRound - 2 ? better : !better;
  }

  // The seconds of a step that were measured, the last of them weighs most.
  void took(bool shares, double seconds) {
    const uint32_t turn = turns_.load(std::memory_order_relaxed) % kRound;
    if (turn == kRound - 1) return;
    std::atomic<float>& mean = shares ? shared_ : alone_;
    const float before = mean.load(std::memory_order_relaxed);
    const float now = static_cast<float>(seconds);
    mean.store(before == 0.0f ? now : 0.5f * (before + now), std::memory_order_relaxed);
  }

  // For work of about so many operations a step, forward or back.
  template <class Way>
  static Pace& of(int64_t step) {
    static Pace paces[64];
    int order = 0;
    while (step >>= 1) ++order;
    return paces[order];
  }

 private:
  static constexpr uint32_t kRound = 64;

  std::atomic<uint32_t> turns_{0};
  std::atomic<float> alone_{0.0f}, shared_{0.0f};
};

class Stopwatch {
 public:
  double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }

 private:
  const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace seqstate::SEQSTATE_BUILD
