// The equations of one step: from the sums of some rows and a panel to the new state.
#pragma once

#include <type_traits>

#include "activations.h"
#include "layouts.h"
#include "tiles.h"

namespace seqstate::SEQSTATE_BUILD {

// One vector of units of several items: the same units of several rows, or the vectors of one row.
// What is carried lies `apart` floats from item to item and has room for whole vectors; the results
// (null: not wanted) have room for `count` units.
struct Units {
  const float* before;
  float* after;
  float* c;
  int64_t apart;
  float* states[kMaxStates];
  int64_t states_apart[kMaxStates];
  float* kept[kMaxKept];
  int64_t kept_apart[kMaxKept];
  int64_t count;

  V h_before(int64_t m) const { return V::load(before + m * apart); }
  V c_before(int64_t m) const { return V::load(c + m * apart); }
  void keep(int i, int64_t m, V value) const {
    if (kept[i] != nullptr) value.store(kept[i] + m * kept_apart[i], count);
  }
  void finish(int64_t m, V h) const {
    h.store(after + m * apart);
    if (states[0] != nullptr) h.store(states[0] + m * states_apart[0], count);
  }
  void keep_cell(int64_t m, V cell) const {
    cell.store(c + m * apart);
    if (states[1] != nullptr) cell.store(states[1] + m * states_apart[1], count);
  }
};

// A skipped step: the state stays, the gates are zero.
template <class Layout>
void skip(int64_t items, const Units& u) {
  for (int64_t m = 0; m < items; ++m) {
    if constexpr (std::is_same_v<Layout, LstmLayout>) u.keep_cell(m, u.c_before(m));
    u.finish(m, u.h_before(m));
    for (int i = 0; i < kMaxKept; ++i) u.keep(i, m, V(0.0f));
  }
}

// Activations and new states, from the sums of each item, `stride` floats apart.
using Equations = void (*)(const Cell&, const float* sums, int64_t stride, int64_t items,
                           const Units&);

// The last activation of an item waits for its other ones. So it is done beside those of the item
// after it: begin(m), then both(m) for what is left of m - 1 and begins of m, then end(last).
template <class Begin, class Both, class End>
[[gnu::always_inline]] inline void one_behind(int64_t items, const Begin& begin, const Both& both,
                                              const End& end) {
  begin(0);
  for (int64_t m = 1; m < items; ++m) both(m);
  end(items - 1);
}

// `keeps`: whether the gates are wanted.
template <class Act, bool keeps>
void lstm(const Cell& cell, const float* sums, int64_t stride, int64_t items, const Units& u) {
  const Act act(cell);
  V gates[3];
  V cells[2];  // the candidate of an item, and the new cell state of the one before
  V o, c;
  const auto load = [&](int64_t m) {
    const float* sum = sums + m * stride;
    gates[0] = V::load(sum);
    gates[1] = V::load(sum + L);
    gates[2] = V::load(sum + 3 * L);
    cells[0] = V::load(sum + 2 * L);
  };
  const auto new_cell = [&](int64_t m) {
    o = gates[2];
    c = fma(gates[1], u.c_before(m), gates[0] * cells[0]);
    if constexpr (keeps) {
      u.keep(0, m, gates[0]);
      u.keep(1, m, gates[1]);
      u.keep(2, m, cells[0]);
      u.keep(3, m, o);
    }
    u.keep_cell(m, c);
  };
  one_behind(
      items,
      [&](int64_t m) {
        load(m);
        cells[1] = cells[0];
        act.all(gates, cells);
        new_cell(m);
      },
      [&](int64_t m) {
        load(m);
        cells[1] = c;
        act.all(gates, cells);
        u.finish(m - 1, o * cells[1]);
        new_cell(m);
      },
      [&](int64_t m) {
        V last[1] = {c};
        act.cell(last);
        u.finish(m, o * last[0]);
      });
}

// h' = z h + (1 - z) g
inline void gru_state(int64_t m, V z, V g, const Units& u) {
  u.finish(m, fma(z, u.h_before(m), (V(1.0f) - z) * g));
}

template <class Act, bool keeps>
void gru_after(const Cell& cell, const float* sums, int64_t stride, int64_t items,
               const Units& u) {
  const Act act(cell);
  V gates[2], g[1];
  V z, next;
  const auto load = [&](int64_t m) {
    gates[0] = V::load(sums + m * stride);
    gates[1] = V::load(sums + m * stride + L);
  };
  const auto candidate = [&](int64_t m) {
    const float* sum = sums + m * stride;
    const V state = V::load(sum + 3 * L);
    z = gates[0];
    next = fma(gates[1], state, V::load(sum + 2 * L));
    if constexpr (keeps) {
      u.keep(0, m, z);
      u.keep(1, m, gates[1]);
      u.keep(3, m, state);
    }
  };
  const auto finish = [&](int64_t m) {
    if constexpr (keeps) u.keep(2, m, g[0]);
    gru_state(m, z, g[0], u);
  };
  one_behind(
      items,
      [&](int64_t m) {
        load(m);
        act.gate(gates);
        candidate(m);
      },
      [&](int64_t m) {
        load(m);
        g[0] = next;
        act.all(gates, g);
        finish(m - 1);
        candidate(m);
      },
      [&](int64_t m) {
        g[0] = next;
        act.cell(g);
        finish(m);
      });
}

// With reset_after=False the candidate comes later: here u.c takes the update gate, u.after the
// reset gate.
template <class Act>
void gru_gates(const Cell& cell, const float* sums, int64_t stride, int64_t items,
               const Units& u) {
  const Act act(cell);
  for (int64_t m = 0; m < items; ++m, sums += stride) {
    V gates[2] = {V::load(sums), V::load(sums + L)};
    act.gate(gates);
    u.keep(0, m, gates[0]);
    u.keep(1, m, gates[1]);
    gates[0].store(u.c + m * u.apart);
    gates[1].store(u.after + m * u.apart);
  }
}

// The candidate's sum, with the update gate in u.c.
template <class Act>
void gru_candidate(const Cell& cell, const float* sums, int64_t stride, int64_t items,
                   const Units& u) {
  const Act act(cell);
  for (int64_t m = 0; m < items; ++m, sums += stride) {
    V g[1] = {V::load(sums)};
    act.cell(g);
    u.keep(2, m, g[0]);
    gru_state(m, u.c_before(m), g[0], u);
  }
}

template <class Act>
void simple_rnn(const Cell& cell, const float* sums, int64_t stride, int64_t items,
                const Units& u) {
  const Act act(cell);
  in_tiles<4>(items, [&](auto count, int64_t first) {
    constexpr int N = count();
    V h[N];
    SEQSTATE_UNROLL
    for (int i = 0; i < N; ++i) h[i] = V::load(sums + (first + i) * stride);
    act.cell(h);
    SEQSTATE_UNROLL
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
