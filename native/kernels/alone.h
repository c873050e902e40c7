// Apart from executor.h, which every build of the kernels reads: what is compiled for one
// instruction set must not be the copy that the linker takes for all.
#pragma once

#include "executor.h"

namespace seqstate {

// The calling thread alone.
class Alone final : public Executor {
 public:
  int threads() const override { return 1; }
  void run(int64_t count, void (*task)(void*, int64_t), void* context) override {
    for (int64_t i = 0; i < count; ++i) task(context, i);
  }
};

}  // namespace seqstate
