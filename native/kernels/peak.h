// How fast this machine multiplies and adds in registers: what the kernels are measured against.
#pragma once

#include <ctime>

#include "vectors.h"

namespace seqstate::SEQSTATE_BUILD {

// Billions of floating-point operations a second of the calling thread, over about `seconds`.
inline double peak(double seconds) {
  constexpr int kChains = V::registers == 16 ? 12 : 24;
  constexpr int64_t kRounds = 20000;
  V sums[kChains];
  // Read at run time and all different, so that every chain is really computed.
  volatile float start_at = 1.0f;
  for (V& sum : sums) {
    start_at = start_at + 0.01f;
    sum = V(start_at);
  }
  V factor(0.999f), addend(0.001f);
  const auto now = [] {
    timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
  };
  const double start = now();
  double elapsed = 0.0;
  int64_t rounds = 0;
  while (elapsed < seconds) {
    for (int64_t i = 0; i < kRounds; ++i) {
      SEQSTATE_UNROLL
      for (V& sum : sums) sum = fma(sum, factor, addend);
    }
    rounds += kRounds;
    elapsed = now() - start;
  }
  V total(0.0f);
  SEQSTATE_UNROLL
  for (const V& sum : sums) total = total + sum;
  float lanes[L];
  total.store(lanes);
  const double done = 2.0 * L * kChains * static_cast<double>(rounds);
  // Uses the sums, so that they can't be left out; they are never negative.
  return lanes[0] < 0.0f ? 0.0 : done / elapsed * 1e-9;
}

}  // namespace seqstate::SEQSTATE_BUILD
