// Dense layers and elementwise functions for one instruction set: compiled as build.cpp is, and
// under the same rule that nothing is shared with another build.
#include "dense.h"

namespace seqstate::SEQSTATE_BUILD {

int64_t dense_floats(const Dense& dense) {
  return bias_floats(dense) + Columns(dense.units).size(dense.features);
}

void pack_dense(const Dense& dense, const float* kernel, const float* bias, float* packed) {
  for (int64_t i = 0; i < dense.units; i += L) {
    copy_vector(packed + i, bias == nullptr ? nullptr : bias + i,
                bias == nullptr ? 0 : dense.units - i);
  }
  pack_columns(packed + bias_floats(dense), kernel, dense.features, dense.units, dense.units);
}

void dense(const Dense& dense, const DenseRun& run, Executor& threads) {
  DenseRows(dense, run)(threads);
}

void activate_all(Activation activation, const float* x, float* out, int64_t count) {
  switch (activation) {
    case Activation::tanh: return each_vector(x, out, count, [](auto& v) { tanh(v); });
    case Activation::sigmoid: return each_vector(x, out, count, [](auto& v) { sigmoid(v); });
    case Activation::relu:
      return each_vector(x, out, count, [](auto& v) {
        for (V& one : v) one = relu(one);
      });
    case Activation::hard_sigmoid:
      return each_vector(x, out, count, [](auto& v) {
        for (V& one : v) one = hard_sigmoid(one);
      });
    case Activation::linear: return each_vector(x, out, count, [](auto&) {});
  }
}

void exponential_all(const float* x, float* out, int64_t count) {
  each_vector(x, out, count, [](auto& v) { exponentials(v); });
}

}  // namespace seqstate::SEQSTATE_BUILD
