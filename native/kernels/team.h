// Steps that several threads take together: each step is cut into parts, and no part of a step
// begins before all parts of the step before it are done.
//
// A part belongs to a thread, whose caches hold its weights, but nobody waits for a thread that
// is not there: a part that nobody has begun is taken by whoever is free. So a thread that never
// starts, or that the system has put aside, costs time and no deadlock.
#pragma once

#include <atomic>
#include <cstdint>

namespace seqstate {

// What a thread does that has looked `spins` times in vain: pause, then yield, then sleep.
void give_way(int64_t spins);

}  // namespace seqstate

namespace seqstate::SEQSTATE_BUILD {

class Team {
 public:
  static constexpr int kMost = 16;

  Team(int parts, int64_t steps) : parts_(parts), steps_(steps) {}

  // Take part as member 0 ... parts - 1 until all steps are done; body(step, part).
  template <class Body>
  void work(int member, Body&& body) {
    slots_[member].present.store(true, std::memory_order_relaxed);
    for (int64_t step = done_.load(std::memory_order_acquire) / parts_; step < steps_; ++step) {
      attempt(step, member, body);
      const int64_t wanted = (step + 1) * parts_;
      for (int64_t spins = 0; done_.load(std::memory_order_acquire) < wanted; ++spins) {
        if (parts_ > 1) take_over(step, member, spins > kPatience, body);
        give_way(spins);
      }
    }
  }

 private:
  static constexpr int64_t kPatience = 100;

  struct alignas(64) Slot {
    std::atomic<int64_t> begun{0};  // steps of this part that someone has begun
    std::atomic<bool> present{false};
  };

  template <class Body>
  void attempt(int64_t step, int part, Body&& body) {
    int64_t expected = step;
    if (slots_[part].begun.load(std::memory_order_relaxed) != step) return;
    if (!slots_[part].begun.compare_exchange_strong(expected, step + 1,
                                                    std::memory_order_acq_rel)) {
      return;
    }
    body(step, part);
    done_.fetch_add(1, std::memory_order_acq_rel);
  }

  template <class Body>
  void take_over(int64_t step, int member, bool impatient, Body&& body) {
    for (int part = 0; part < parts_; ++part) {
      if (part == member) continue;
      if (impatient || !slots_[part].present.load(std::memory_order_relaxed)) {
        attempt(step, part, body);
      }
    }
  }

  const int parts_;
  const int64_t steps_;
  Slot slots_[kMost];
  alignas(64) std::atomic<int64_t> done_{0};
};

}  // namespace seqstate::SEQSTATE_BUILD
