// The equations of one step: from the sums of a few rows and a panel to the new state.
#pragma once

#include <type_traits>

#include "activations.h"
#include "layouts.h"
#include "tiles.h"

namespace seqstate::SEQSTATE_BUILD {

// Some rows and one vector of units: what is carried, `width` floats a row, and where the results
// go (null: not wanted). What is carried has room for whole vectors, the results for `count`.
struct Units {
  const float* before;
  float* after;
  float* c;
  int64_t width;
  float* states[kMaxStates];
  int64_t states_row[kMaxStates];
  float* kept[kMaxKept];
  int64_t kept_row[kMaxKept];
  int64_t count;

  V h_before(int64_t m) const { return V::load(before + m * width); }
  V c_before(int64_t m) const { return V::load(c + m * width); }
  void keep(int i, int64_t m, V value) const {
    if (kept[i] != nullptr) value.store(kept[i] + m * kept_row[i], count);
  }
  void finish(int64_t m, V h) const {
    h.store(after + m * width);
    if (states[0] != nullptr) h.store(states[0] + m * states_row[0], count);
  }
  void keep_cell(int64_t m, V cell) const {
    cell.store(c + m * width);
    if (states[1] != nullptr) cell.store(states[1] + m * states_row[1], count);
  }
  // From row m on.
  Units from(int64_t m) const {
    Units u = *this;
    u.before += m * width;
    u.after += m * width;
    if (c != nullptr) u.c += m * width;
    for (int i = 0; i < kMaxStates; ++i) {
      if (states[i] != nullptr) u.states[i] += m * states_row[i];
    }
    for (int i = 0; i < kMaxKept; ++i) {
      if (kept[i] != nullptr) u.kept[i] += m * kept_row[i];
    }
    return u;
  }
};

// A skipped step: the state stays, the gates are zero.
template <class Layout>
void skip(const Units& u) {
  const V h = u.h_before(0);
  if constexpr (std::is_same_v<Layout, LstmLayout>) u.keep_cell(0, u.c_before(0));
  u.finish(0, h);
  for (int i = 0; i < kMaxKept; ++i) u.keep(i, 0, V(0.0f));
}

// Activations and new states, from the sums of each row: `stride` vectors a row.
using Equations = void (*)(const Cell&, const V* sums, int stride, int rows, const Units&);

// Rows are taken two at a time where one would be waited for.
template <class Body>
[[gnu::always_inline]] inline void in_pairs(int rows, const Body& body) {
  int m = 0;
  for (; m + 2 <= rows; m += 2) body(Size<2>{}, m);
  if (m < rows) body(Size<1>{}, m);
}

// `keeps`: whether the gates are wanted.
template <class Act, bool keeps>
void lstm(const Cell& cell, const V* sums, int stride, int rows, const Units& u) {
  const Act act(cell);
  in_pairs(rows, [&](auto count, int first) {
    constexpr int N = count();
    V o[N], c[N];
    SEQSTATE_UNROLL
    for (int i = 0; i < N; ++i) {
      const int m = first + i;
      const V* sum = sums + m * stride;
      V gates[3] = {sum[0], sum[1], sum[3]};
      V g[1] = {sum[2]};
      act.gate(gates);
      act.cell(g);
      o[i] = gates[2];
      c[i] = fma(gates[1], u.c_before(m), gates[0] * g[0]);
      if constexpr (keeps) {
        u.keep(0, m, gates[0]);
        u.keep(1, m, gates[1]);
        u.keep(2, m, g[0]);
        u.keep(3, m, o[i]);
      }
      u.keep_cell(m, c[i]);
    }
    act.cell(c);
    SEQSTATE_UNROLL
    for (int i = 0; i < N; ++i) u.finish(first + i, o[i] * c[i]);
  });
}

// h' = z h + (1 - z) g
inline void gru_state(int64_t m, V z, V g, const Units& u) {
  u.finish(m, fma(z, u.h_before(m), (V(1.0f) - z) * g));
}

template <class Act, bool keeps>
void gru_after(const Cell& cell, const V* sums, int stride, int rows, const Units& u) {
  const Act act(cell);
  in_pairs(rows, [&](auto count, int first) {
    constexpr int N = count();
    V z[N], g[N];
    SEQSTATE_UNROLL
    for (int i = 0; i < N; ++i) {
      const int m = first + i;
      const V* sum = sums + m * stride;
      V gates[2] = {sum[0], sum[1]};
      act.gate(gates);
      z[i] = gates[0];
      g[i] = fma(gates[1], sum[3], sum[2]);
      if constexpr (keeps) {
        u.keep(0, m, z[i]);
        u.keep(1, m, gates[1]);
        u.keep(3, m, sum[3]);
      }
    }
    act.cell(g);
    SEQSTATE_UNROLL
    for (int i = 0; i < N; ++i) {
      if constexpr (keeps) u.keep(2, first + i, g[i]);
      gru_state(first + i, z[i], g[i], u);
    }
  });
}

// With reset_after=False the candidate comes later: here u.c takes the update gate, u.after the
// reset gate.
template <class Act>
void gru_gates(const Cell& cell, const V* sums, int stride, int rows, const Units& u) {
  const Act act(cell);
  for (int m = 0; m < rows; ++m, sums += stride) {
    V gates[2] = {sums[0], sums[1]};
    act.gate(gates);
    u.keep(0, m, gates[0]);
    u.keep(1, m, gates[1]);
    gates[0].store(u.c + m * u.width);
    gates[1].store(u.after + m * u.width);
  }
}

// The candidate's sum, with the update gate in u.c.
template <class Act>
void gru_candidate(const Cell& cell, const V* sums, int stride, int rows, const Units& u) {
  const Act act(cell);
  for (int m = 0; m < rows; ++m, sums += stride) {
    V g[1] = {sums[0]};
    act.cell(g);
    u.keep(2, m, g[0]);
    gru_state(m, u.c_before(m), g[0], u);
  }
}

template <class Act>
void simple_rnn(const Cell& cell, const V* sums, int stride, int rows, const Units& u) {
  const Act act(cell);
  in_pairs(rows, [&](auto count, int first) {
    constexpr int N = count();
    V h[N];
    for (int i = 0; i < N; ++i) h[i] = sums[(first + i) * stride];
    act.cell(h);
    for (int i = 0; i < N; ++i) u.finish(first + i, h[i]);
  });
}

template <class Layout, class Act>
Equations equations_with(bool keeps) {
  if constexpr (std::is_same_v<Layout, LstmLayout>) {
    return keeps ? lstm<Act, true> : lstm<Act, false>;
  } else if constexpr (std::is_same_v<Layout, GruAfterLayout>) {
    return keeps ? gru_after<Act, true> : gru_after<Act, false>;
  } else if constexpr (std::is_same_v<Layout, GruBeforeLayout>) {
    return gru_gates<Act>;
  } else {
    return simple_rnn<Act>;
  }
}

template <class Layout>
Equations equations_of(const Cell& cell, bool keeps) {
  return is_usual(cell) ? equations_with<Layout, Usual>(keeps)
                        : equations_with<Layout, Chosen>(keeps);
}

}  // namespace seqstate::SEQSTATE_BUILD
