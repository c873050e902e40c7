// A cell with its weights in the kernels' own order, for many calls with the same weights.
#pragma once

#include <nanobind/nanobind.h>

#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include "../kernels/api.h"
#include "array.h"
#include "prepared.h"

namespace seqstate {

// Operations of the products of one run over all steps: what a call is worth.
int64_t work_of(const Run& run);

// Runs `body` without the GIL. Where the interpreter is gone meanwhile, as it can be for a daemon
// thread at exit, the thread sleeps for ever: there is no way back to Python.
void without_gil(void (*body)(void*), void* context);

template <class Body>
void without_gil(Body&& body) {
  without_gil([](void* context) { (*static_cast<std::remove_reference_t<Body>*>(context))(); },
              &body);
}

// Runs `body` with the executor that fits: work of about a microsecond is done here and now, more
// than that without the GIL and on the pool.
void compute(int64_t work, void (*body)(Executor&, void*), void* context);

template <class Body>
void compute(int64_t work, Body&& body) {
  compute(
      work, [](Executor& executor, void* context) { (*static_cast<Body*>(context))(executor); },
      &body);
}

// Never changes once it is made, so any number of threads may run it.
class PackedCell {
 public:
  // Copies the weights.
  PackedCell(const char* kind, const char* activation, const char* recurrent_activation,
             bool reset_after, nanobind::dict weights, const std::optional<std::string>& build);
  ~PackedCell() { kernels_.release(packed_); }
  PackedCell(const PackedCell&) = delete;
  PackedCell& operator=(const PackedCell&) = delete;

  void run(nanobind::dict inputs, nanobind::dict results, bool go_backwards) const;
  void forward(const Run& run, Executor& executor) const {
    kernels_.forward(run, packed_, executor);
  }

  // One step: takes x [batch, features] and a state, gives the next one in new arrays.
  nanobind::tuple step(nanobind::handle x, nanobind::handle h, nanobind::handle c) const;

  // Does a run with these weights, unless it has no rows.
  void compute(const Run& run) const;
  // Throws Refused unless `c` is there where the cell has such a state.
  void expect_states(nanobind::handle c) const;

  const Cell& cell() const { return cell_; }
  const Weights& weights() const { return weights_; }

 private:
  const float* keep(const Array& array);

  const Kernels& kernels_;
  Cell cell_;
  std::string where_;
  std::vector<std::unique_ptr<float[]>> memory_;
  Weights weights_{};
  Packed* packed_ = nullptr;
};

// `cell.run(inputs, results, go_backwards)` on these arrays, to be called again and again.
Prepared prepare_cell(nanobind::object cell, nanobind::dict inputs, nanobind::dict results,
                      bool go_backwards);

// One step after the other on a state that lies in the caller's arrays.
class Stepper {
 public:
  Stepper(nanobind::object cell, nanobind::object h, nanobind::object c);

  // Takes x [batch, features], brings the state forward by one step in place, gives `h`.
  nanobind::object step(nanobind::handle x);

 private:
  nanobind::object cell_;
  const PackedCell& packed_;
  nanobind::object h_;
  std::string where_;
  Array states_[kMaxStates];
  std::vector<float> next_;
  Run run_{};
  int64_t work_;
};

}  // namespace seqstate
