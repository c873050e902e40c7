// What dense.cpp, which is compiled once for each instruction set as build.cpp is, gives to the
// table of that build.
#pragma once

#include "api.h"

namespace seqstate::SEQSTATE_BUILD {

int64_t dense_floats(const Dense& dense);
void pack_dense(const Dense& dense, const float* kernel, const float* bias, float* packed);
void dense(const Dense& dense, const DenseRun& run, Executor& threads);
void activate_all(Activation activation, const float* x, float* out, int64_t count);
void exponential_all(const float* x, float* out, int64_t count);

}  // namespace seqstate::SEQSTATE_BUILD
