// What every time loop asks of a run: which time a step reads, what is skipped or started anew.
#pragma once

#include <type_traits>

#include "api.h"
#include "layouts.h"

namespace seqstate::SEQSTATE_BUILD {

// Steps are counted in the order of the run.
inline int64_t time_of(const Run& run, int64_t step) {
  return run.go_backwards ? run.time - 1 - step : step;
}

inline bool flag(const Sequences<const uint8_t>& mask, int64_t row, int64_t time) {
  return mask.data[row * mask.row + time * mask.step] != 0;
}

inline bool skips(const Run& run, int64_t row, int64_t step) {
  return run.mask.data != nullptr && !flag(run.mask, row, time_of(run, step));
}

inline bool starts_anew(const Run& run, int64_t row, int64_t step) {
  return run.reset_mask.data != nullptr && flag(run.reset_mask, row, time_of(run, step));
}

template <class T>
T* at(const Sequences<T>& array, int64_t row, int64_t step) {
  return array.data == nullptr ? nullptr : array.data + row * array.row + step * array.step;
}

template <class T>
T* at(const Vectors<T>& array, int64_t row) {
  return array.data == nullptr ? nullptr : array.data + row * array.row;
}

// Copy `count` numbers that lie `stride` apart; zeros from null.
inline void copy_row(float* to, const float* from, int64_t stride, int64_t count) {
  if (from == nullptr) {
    for (int64_t i = 0; i < count; ++i) to[i] = 0.0f;
  } else if (stride == 1) {
    for (int64_t i = 0; i < count; i += L) {
      const int64_t here = count - i;
      V::load(from + i, here).store(to + i, here);
    }
  } else {
    for (int64_t i = 0; i < count; ++i) to[i] = from[i * stride];
  }
}

inline const float* mask_of(const Dropout& dropout, int block, int64_t row, int64_t batch,
                            int64_t size) {
  return dropout.data + (block * batch + row) * size;
}

// How the numbers for several blocks lie in a row, where each has a dropout mask of its own.
enum class Many {
  side_by_side,  // [size][block], as the weight gradients read them
  by_block,      // [block][size], as the products read them
};

// Multiply `size` numbers with a row's dropout masks.
inline void drop(float* to, const float* from, int64_t stride, const Dropout& dropout,
                 int64_t row, int64_t batch, int64_t size, Many many) {
  const bool by_block = many == Many::by_block;
  for (int b = 0; b < dropout.count; ++b) {
    const float* mask = mask_of(dropout, b, row, batch, size);
    if (by_block && stride == 1) {
      float* out = to + b * size;
      for (int64_t i = 0; i < size; ++i) out[i] = from[i] * mask[i];
      continue;
    }
    const int64_t apart = by_block ? 1 : dropout.count, first = by_block ? b * size : b;
    for (int64_t i = 0; i < size; ++i) to[first + i * apart] = from[i * stride] * mask[i];
  }
}

// A row of the input as the products read it: dense, dropped out, and zeros where the step is
// skipped, since what stands there may be anything.
inline void copy_input(float* to, const Run& run, int64_t row, int64_t step, Many many) {
  const int64_t features = run.cell.features;
  const Dropout& dropout = run.input_dropout;
  const bool skipped = skips(run, row, step);
  const float* x = skipped ? nullptr : at(run.x, row, time_of(run, step));
  if (skipped || dropout.count == 0) {
    copy_row(to, x, run.x.unit, features * (dropout.count > 1 ? dropout.count : 1));
  } else {
    drop(to, x, run.x.unit, dropout, row, run.batch, features, many);
  }
}

// Whether the input can be read where it lies.
inline bool reads_in_place(const Run& run) {
  return run.x.unit == 1 && run.mask.data == nullptr && run.input_dropout.count == 0;
}

// Whether threads may share each step. A state that needs work between two steps is left to one.
template <class Layout>
bool shares_steps(const Run& run, int64_t panels) {
  return !std::is_same_v<Layout, GruBeforeLayout> && run.reset_mask.data == nullptr &&
         run.recurrent_dropout.count == 0 && run.time > 1 && panels > 1;
}

// Floats of an operand row for one k: one, or one a block.
inline int64_t operands(const Dropout& dropout) { return dropout.count > 1 ? dropout.count : 1; }

}  // namespace seqstate::SEQSTATE_BUILD
