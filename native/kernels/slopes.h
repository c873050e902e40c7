// The gradient of one step's equations: from the cotangents of the new state to those of the
// sums before the activations.
#pragma once

#include "activations.h"
#include "layouts.h"

namespace seqstate::SEQSTATE_BUILD {

// One row and one vector of units. dh and dc go in as the cotangents of the state after the step
// and come out as what goes to the state before it past the products; dz are the cotangents of
// the sums, in the order of the panel.
struct Slope {
  V dh, dc;
  V h_before, c_before;
  V kept[kMaxKept];
  V d_gates[kMaxKept];
  V dz[kMaxBlocks];
};

// `a` is the activation of the new cell state.
template <class Act>
[[gnu::always_inline]] inline void lstm_slope(const Act& act, V a, Slope& s) {
  const V i = s.kept[0], f = s.kept[1], g = s.kept[2], o = s.kept[3];
  const V d_o = fma(s.dh, a, s.d_gates[3]);
  const V dc = fma(s.dh * o, act.cell_slope(a), s.dc);
  s.dz[0] = fma(dc, g, s.d_gates[0]) * act.gate_slope(i);
  s.dz[1] = fma(dc, s.c_before, s.d_gates[1]) * act.gate_slope(f);
  s.dz[2] = fma(dc, i, s.d_gates[2]) * act.cell_slope(g);
  s.dz[3] = d_o * act.gate_slope(o);
  s.dc = dc * f;
  s.dh = V(0.0f);
}

// Update gate and candidate, alike in both variants.
template <class Act>
[[gnu::always_inline]] inline void gru_slope(const Act& act, Slope& s) {
  const V z = s.kept[0], g = s.kept[2];
  s.dz[0] = fma(s.dh, s.h_before - g, s.d_gates[0]) * act.gate_slope(z);
  s.dz[2] = fma(s.dh, V(1.0f) - z, s.d_gates[2]) * act.cell_slope(g);
  s.dh = s.dh * z;
}

template <class Act>
[[gnu::always_inline]] inline void gru_after_slope(const Act& act, Slope& s) {
  gru_slope(act, s);
  const V r = s.kept[1];
  s.dz[1] = fma(s.dz[2], s.kept[3], s.d_gates[1]) * act.gate_slope(r);
  s.dz[3] = s.dz[2] * r;
}

// reset_after=False: d_reset_h is the cotangent of r * h, known once that of the candidate is.
template <class Act>
[[gnu::always_inline]] inline void gru_reset_slope(const Act& act, V d_reset_h, Slope& s) {
  const V r = s.kept[1];
  s.dz[1] = fma(d_reset_h, s.h_before, s.d_gates[1]) * act.gate_slope(r);
  s.dh = fma(d_reset_h, r, s.dh);
}

// The new state is its own activation.
template <class Act>
[[gnu::always_inline]] inline void simple_slope(const Act& act, V h_after, Slope& s) {
  s.dz[0] = s.dh * act.cell_slope(h_after);
  s.dh = V(0.0f);
}

}  // namespace seqstate::SEQSTATE_BUILD
