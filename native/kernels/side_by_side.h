// Several runs in one call, each with the bits that it has alone.
#pragma once

#include <vector>

#include "api.h"

namespace seqstate {

// None of the runs may write what another one reads or writes.
void forward_all(const Kernels& kernels, const std::vector<const Run*>& runs, Executor& executor);
void gradient_all(const Kernels& kernels, const std::vector<const Gradient*>& wanted,
                  Executor& executor);

}  // namespace seqstate
