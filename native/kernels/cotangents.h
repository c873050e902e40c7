// What goes back through the steps beside the products: the running cotangents of the states, and
// what the run gave, as whole vectors can read it.
#pragma once

#include <type_traits>

#include "layouts.h"
#include "scratch.h"
#include "steps.h"

namespace seqstate::SEQSTATE_BUILD {

template <class Layout>
class Cotangents {
 public:
  static constexpr int kStates = std::is_same_v<Layout, LstmLayout> ? 2 : 1;

  Cotangents(Scratch& scratch, const Gradient& wanted)
      : width(ceil_div(wanted.run.cell.units, L) * L),
        wanted_(wanted),
        run_(wanted.run),
        units_(run_.cell.units) {
    for (int i = 0; i < kStates; ++i) {
      of_states[i] = dense(scratch, wanted.d_states[i]);
      running[i] = dense(scratch, wanted.d_last[i]);
      initial_[i] = dense(scratch, run_.initial[i]);
      if (run_.reset_mask.data != nullptr) fresh_[i] = dense(scratch, run_.fresh[i]);
      if (wanted.d_fresh[i].data != nullptr) {
        d_fresh_[i] = dense(scratch, Vectors<const float>{});
      }
    }
    for (int i = 0; i < gates_of(run_.cell.kind); ++i) {
      of_gates[i] = dense(scratch, wanted.d_gates[i]);
      has_gates = has_gates || wanted.d_gates[i].data != nullptr;
    }
  }

  // Floats of a row of what follows, room for whole vectors.
  const int64_t width;
  // Of the states before the steps that are done: [batch][width].
  float* running[kMaxStates] = {};
  // As they were given, with units side by side.
  Sequences<const float> of_states[kMaxStates];
  Sequences<const float> of_gates[kMaxKept];
  bool has_gates = false;

  // A state before a step.
  const float* before(int i, int64_t b, int64_t s) const {
    if (starts_anew(run_, b, s)) return fresh_[i] + b * width;
    if (s == 0) return initial_[i] + b * width;
    return at(run_.states[i], b, s - 1);
  }

  // Rows that started anew before step s: what went to the state before goes to the fresh one.
  void start_anew(int64_t s, int64_t begin, int64_t end) const {
    if (run_.reset_mask.data == nullptr) return;
    for (int64_t b = begin; b < end; ++b) {
      if (!starts_anew(run_, b, s)) continue;
      for (int i = 0; i < kStates; ++i) {
        float* from = running[i] + b * width;
        for (int64_t u = 0; u < units_; ++u) {
          if (d_fresh_[i] != nullptr) d_fresh_[i][b * width + u] += from[u];
          from[u] = 0.0f;
        }
      }
    }
  }

  // After all steps.
  void finish() const {
    for (int i = 0; i < kStates; ++i) {
      for (int64_t b = 0; b < run_.batch; ++b) {
        const Vectors<float>& initial = wanted_.d_initial[i];
        const Vectors<float>& fresh = wanted_.d_fresh[i];
        if (initial.data != nullptr) {
          copy_row(initial.data + b * initial.row, running[i] + b * width, 1, units_);
        }
        if (fresh.data != nullptr) {
          copy_row(fresh.data + b * fresh.row, d_fresh_[i] + b * width, 1, units_);
        }
      }
    }
  }

 private:
  // A cotangent whose units stand side by side: itself, a copy, or one row of zeros for all.
  Sequences<const float> dense(Scratch& scratch, const Sequences<const float>& given) const {
    if (given.data != nullptr && given.unit == 1) return given;
    float* copy = scratch.floats(given.data == nullptr ? width : run_.batch * run_.time * units_);
    if (given.data == nullptr) {
      copy_row(copy, nullptr, 1, width);
      return {copy, 0, 0, 1};
    }
    for (int64_t b = 0; b < run_.batch; ++b) {
      for (int64_t s = 0; s < run_.time; ++s) {
        copy_row(copy + (b * run_.time + s) * units_, at(given, b, s), given.unit, units_);
      }
    }
    return {copy, run_.time * units_, units_, 1};
  }

  float* dense(Scratch& scratch, const Vectors<const float>& given) const {
    float* copy = scratch.floats(run_.batch * width);
    for (int64_t b = 0; b < run_.batch; ++b) {
      copy_row(copy + b * width, at(given, b), given.unit, units_);
      copy_row(copy + b * width + units_, nullptr, 1, width - units_);
    }
    return copy;
  }

  const Gradient& wanted_;
  const Run& run_;
  const int64_t units_;
  float* initial_[kMaxStates] = {};
  float* fresh_[kMaxStates] = {};
  float* d_fresh_[kMaxStates] = {};
};

}  // namespace seqstate::SEQSTATE_BUILD
