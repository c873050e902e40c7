#include "team.h"

#include <chrono>
#include <thread>

namespace seqstate {

void give_way(int64_t spins) {
  constexpr int64_t kSpins = 2000, kYields = 4000;
  if (spins < kSpins) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
  } else if (spins < kYields) {
    std::this_thread::yield();
  } else {
    std::this_thread::sleep_for(std::chrono::microseconds(50));
  }
}

}  // namespace seqstate
