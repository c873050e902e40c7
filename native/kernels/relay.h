// Items that pass through the same stages one after another, each item taken through its next
// stage by whichever thread is free.
//
// Threads are rarely equally fast: another program, or another guest on the same core, slows one
// of them down. The item that is furthest behind goes first, so at the end little is left to wait
// for, whoever is slow.
#pragma once

#include <atomic>
#include <cstdint>
#include <new>

#include "scratch.h"
#include "team.h"

namespace seqstate::SEQSTATE_BUILD {

class Relay {
 public:
  Relay(Scratch& scratch, int64_t items, int64_t stages)
      : items_(reinterpret_cast<Item*>(scratch.bytes(items * sizeof(Item)))),
        count_(items),
        stages_(stages) {
    for (int64_t i = 0; i < items; ++i) new (items_ + i) Item;
  }

  // Take part until there is nothing more to take; body(item, stage).
  template <class Body>
  void work(const Body& body) {
    for (int64_t spins = 0;;) {
      int64_t stage = 0;
      const int64_t item = claim(stage);
      if (item == kNothingLeft) return;
      if (item == kNothingFree) {
        give_way(spins++);
        continue;
      }
      body(item, stage);
      items_[item].state.store(2 * (stage + 1), std::memory_order_release);
      spins = 0;
    }
  }

 private:
  static constexpr int64_t kNothingFree = -1, kNothingLeft = -2;

  struct alignas(64) Item {
    std::atomic<int64_t> state{0};  // twice the stages that are done, and 1 while one is under way
  };

  int64_t claim(int64_t& stage) {
    int64_t item = kNothingLeft, least_state = 2 * stages_;
    for (int64_t i = 0; i < count_; ++i) {
      const int64_t state = items_[i].state.load(std::memory_order_relaxed);
      if (state % 2 == 0 && state < least_state) {
        item = i;
        least_state = state;
      } else if (item == kNothingLeft && state % 2 == 1 && state < 2 * stages_ - 1) {
        item = kNothingFree;
      }
    }
    if (item < 0) return item;
    stage = least_state / 2;
    return items_[item].state.compare_exchange_strong(least_state, least_state + 1,
                                                      std::memory_order_acquire)
               ? item
               : kNothingFree;
  }

  Item* const items_;
  const int64_t count_, stages_;
};

}  // namespace seqstate::SEQSTATE_BUILD
