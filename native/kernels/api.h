// What the kernels compute, as plain data: no Python, no framework, no allocation by the caller
// beyond the arrays that it wants filled.
//
// Axes are batch, time, features, units. A view holds a pointer and its strides in elements. A
// null pointer means "not given" for an input (zeros, or no mask) and "not wanted" for a result.
// All arrays are float32, masks are bytes (0 or 1). Nothing here is checked: bindings/ does that.
//
// Order: x, mask and reset_mask lie in the order of the input; everything with a time axis that
// a run writes (states, gates) lies in the order of the run, so with go_backwards its first entry
// belongs to the last time step of the input. Cotangents of such results lie in that order too.
//
// Sums: each pre-activation is bias, then + x[k] * kernel[k] for k = 0, 1, 2 ..., then
// + h[k] * recurrent_kernel[k] for k = 0, 1, 2 ..., one fused multiply-add each. No tile size,
// batch, thread count or instruction set changes that, so the bits of a run do not depend on how
// it is cut. (The build without FMA rounds after each product.)
#pragma once

#include <cstdint>

#include "executor.h"

namespace seqstate {

enum class Kind : int32_t { simple_rnn = 0, gru = 1, lstm = 2 };

enum class Activation : int32_t { linear = 0, tanh = 1, sigmoid = 2, relu = 3, hard_sigmoid = 4 };

constexpr int kMaxStates = 2;
constexpr int kMaxBlocks = 4;
// The most arrays a run keeps for its gradient beside the states.
constexpr int kMaxKept = 4;

// States in the order of cells.py: h, then c for LSTM.
constexpr int states_of(Kind kind) { return kind == Kind::lstm ? 2 : 1; }
// Named gates in the order of cells.py.
constexpr int gates_of(Kind kind) {
  return kind == Kind::lstm ? 4 : kind == Kind::gru ? 3 : 0;
}
// Blocks of `units` columns in the kernels.
constexpr int blocks_of(Kind kind) {
  return kind == Kind::lstm ? 4 : kind == Kind::gru ? 3 : 1;
}

struct Cell {
  Kind kind;
  bool reset_after;  // GRU only
  Activation activation;
  Activation recurrent_activation;  // unused by SimpleRNN
  int64_t features;
  int64_t units;

  // The arrays that the gradient reads beside the states: the gates, and for a GRU with
  // reset_after one more, the candidate's share of the state (h U_h + d_h).
  int kept() const { return gates_of(kind) + (kind == Kind::gru && reset_after ? 1 : 0); }
};

// Dense, in Keras's shapes.
struct Weights {
  const float* kernel;            // [features, blocks * units]
  const float* recurrent_kernel;  // [units, blocks * units]
  const float* bias;              // [blocks * units], or null
  const float* recurrent_bias;    // [blocks * units], or null: the second row of a GRU's bias
};

template <class T>
struct Vectors {  // [batch, size]
  T* data = nullptr;
  int64_t row = 0, unit = 1;
};

template <class T>
struct Sequences {  // [batch, time, size]
  T* data = nullptr;
  int64_t row = 0, step = 0, unit = 1;
};

// Dropout masks, the same at every step, already scaled: one, or one for each block.
struct Dropout {
  const float* data = nullptr;  // [count, batch, size], dense
  int count = 0;                // 0, 1 or blocks
};

struct Run {
  Cell cell;
  Weights weights;
  int64_t batch;
  int64_t time;

  Sequences<const float> x;                 // [batch, time, features]
  Vectors<const float> initial[kMaxStates]; // the state before the first step
  Vectors<const float> fresh[kMaxStates];   // the state that a row starts anew from
  Sequences<const uint8_t> mask;            // [batch, time]: 0 skips the step (unit unused)
  Sequences<const uint8_t> reset_mask;      // [batch, time]: 1 starts the row anew before it
  bool go_backwards;
  Dropout input_dropout;
  Dropout recurrent_dropout;

  // Results; their `unit` stride is 1.
  Sequences<float> states[kMaxStates];  // after each step; states[0] is the sequence
  Vectors<float> last[kMaxStates];      // after the last step; the last output is last[0]
  // The gates of each step (zero where it is skipped), then the one more of Cell::kept.
  Sequences<float> kept[kMaxKept];

  // Operations of the products of one step.
  int64_t step_work() const {
    return 2 * batch * blocks_of(cell.kind) * (cell.features + cell.units) * cell.units;
  }
};

// The gradient of a run. `run` is what the run was given; its states and kept, all of them, are
// read as the run wrote them, `last` is not read.
struct Gradient {
  Run run;

  // Cotangents.
  Sequences<const float> d_states[kMaxStates];
  Vectors<const float> d_last[kMaxStates];
  Sequences<const float> d_gates[kMaxKept];  // of the named gates only

  // Results, overwritten; unit stride 1. They alias nothing else here.
  Sequences<float> d_x;                // [batch, time, features], in the order of the input
  Vectors<float> d_initial[kMaxStates];
  Vectors<float> d_fresh[kMaxStates];
  float* d_kernel;                     // dense, as the weights
  float* d_recurrent_kernel;
  float* d_bias;
  float* d_recurrent_bias;
};

// Weights in the order in which the kernels read them, for many runs with the same ones.
class Packed;

// A dense layer: each output is bias, then + x[k] * kernel[k] for k = 0, 1, 2 ..., as in the sums
// of a cell, then the activation.
struct Dense {
  int64_t features;
  int64_t units;
  Activation activation;
  const float* packed;  // what pack_dense wrote
};

struct DenseRun {
  int64_t rows;
  Vectors<const float> x;  // [rows, features]
  Vectors<float> out;      // [rows, units], unit stride 1; shares no memory with x
};

// One build of all kernels for one instruction set.
struct Kernels {
  const char* name;   // "baseline", "avx2", "avx512", ...
  int lanes;          // floats in a vector
  bool fused;         // whether products and sums are rounded once
  // `packed` may be null; it must have been made by the same build, for these weights.
  void (*forward)(const Run&, const Packed*, Executor&);
  void (*gradient)(const Gradient&, Executor&);
  Packed* (*pack)(const Cell&, const Weights&);
  void (*release)(Packed*);
  // Dense layers: how many floats a packed one has, 64 bytes aligned; the bias may be null.
  int64_t (*dense_floats)(const Dense&);
  void (*pack_dense)(const Dense&, const float* kernel, const float* bias, float* packed);
  void (*dense)(const Dense&, const DenseRun&, Executor&);
  // Of `count` numbers each; `out` may be `x`.
  void (*activate)(Activation, const float* x, float* out, int64_t count);
  void (*exponential)(const float* x, float* out, int64_t count);
  // Billions of floating-point operations a second that `threads` threads reach in registers.
  double (*peak)(double seconds);
};

// The build for this machine, or the one that SEQSTATE_ISA names; null if there is no such one,
// or if this machine can't run it.
const Kernels* kernels();
const Kernels* kernels(const char* name);
// The names of all builds, the fastest first, ended by null.
const char* const* builds();
bool runs_here(const char* name);

}  // namespace seqstate
