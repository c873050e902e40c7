// Rows of packed arrays that are named by number: copies, the same for every instruction set.
#pragma once

#include <cstdint>

#include "api.h"

namespace seqstate {

// The position of the first row that is not one of 0 ... capacity - 1, or -1.
int64_t first_outside(const int64_t* rows, int64_t count, int64_t capacity);

// The position of the first row that was named before, or -1. Throws std::bad_alloc.
int64_t first_repeated(const int64_t* rows, int64_t count);

// out[m] = packed[rows[m]]; rows of `size` numbers, unit stride 1.
void gather(Vectors<const float> packed, int64_t size, const int64_t* rows, int64_t count,
            Vectors<float> out, Executor& threads);

// packed[rows[m]] = values[m]; no row is named twice.
void scatter(Vectors<float> packed, int64_t size, const int64_t* rows, int64_t count,
             Vectors<const float> values, Executor& threads);

}  // namespace seqstate
