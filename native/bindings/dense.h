// Dense layers and elementwise functions.
#pragma once

#include <nanobind/nanobind.h>

#include <cstdlib>
#include <memory>
#include <optional>
#include <string>

#include "../kernels/api.h"
#include "array.h"
#include "prepared.h"

namespace seqstate {

// A dense layer that keeps its weights. Never changes, so any number of threads may run it.
class PackedDense {
 public:
  // Copies the weights: kernel [features, units], bias [units] or None.
  PackedDense(nanobind::handle kernel, nanobind::handle bias, const char* activation,
              const std::optional<std::string>& build);

  // Takes x [rows, features], gives out [rows, units]: a new array, or the one that is passed.
  nanobind::object run(nanobind::handle x, nanobind::object out) const;

  int64_t features() const { return dense_.features; }
  int64_t units() const { return dense_.units; }

 private:
  friend Prepared prepare_dense(nanobind::object dense, nanobind::handle x, nanobind::handle out);
  // Arrays that fit each other, as a call; `out` is written.
  DenseRun checked(const Array& x, const Array& out) const;
  Array input(nanobind::handle x) const;
  void compute(const DenseRun& run) const;

  struct Free {
    void operator()(float* memory) const { std::free(memory); }
  };

  const Kernels& kernels_;
  Dense dense_{};
  std::unique_ptr<float, Free> memory_;
};

// `dense.run(x, out)` on these arrays, to be called again and again.
Prepared prepare_dense(nanobind::object dense, nanobind::handle x, nanobind::handle out);

// out = function(x): one of kActivations, or "exp". Both dense, of one shape; they may be one array.
void activate(const char* function, nanobind::handle x, nanobind::handle out,
              const std::optional<std::string>& build);

// Whether no value of an array [count] is NaN or infinite.
bool all_finite(nanobind::handle x);

}  // namespace seqstate
