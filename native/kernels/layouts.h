// How a cell's weights lie in memory while it runs.
//
// A panel holds, for a few units, every vector of weights that their pre-activations need, so
// that all gates of a unit meet in registers. For each k a panel has one vector a block: first
// for k over the features (x part), then for k over the units (h part). `to` says to which sum
// of the panel a vector adds.
#pragma once

#include "api.h"
#include "vectors.h"

namespace seqstate::SEQSTATE_BUILD {

// N vectors that add to the sums 0 ... N - 1.
template <int N>
struct Straight {
  static constexpr int count = N;
  static constexpr int to(int n) { return n; }
  static constexpr int block(int n) { return n; }
};

// A GRU with reset_after keeps the candidate's share of the state apart, as the last sum.
struct GruAfterState {
  static constexpr int count = 3;
  static constexpr int to(int n) { return n == 2 ? 3 : n; }
  static constexpr int block(int n) { return n; }
};

struct LstmLayout {
  static constexpr int sums = 4;
  static constexpr int unit_vectors = 1;
  using X = Straight<4>;
  using H = Straight<4>;
};

struct GruAfterLayout {
  static constexpr int sums = 4;
  static constexpr int unit_vectors = 1;
  using X = Straight<3>;
  using H = GruAfterState;
};

// The candidate's share of the state waits for the reset gate: a matrix of its own.
struct GruBeforeLayout {
  static constexpr int sums = 3;
  static constexpr int unit_vectors = 1;
  using X = Straight<3>;
  using H = Straight<2>;
};

// One block: a panel takes several vectors of units instead.
template <int N>
struct UnitVectors {
  static constexpr int count = N;
  static constexpr int to(int n) { return n; }
  static constexpr int block(int) { return 0; }
};

// The candidate of a GRU with reset_after=False, apart from the gates.
struct CandidateState {
  static constexpr int count = 1;
  static constexpr int to(int) { return 2; }
  static constexpr int block(int) { return 2; }
};

struct SimpleLayout {
  static constexpr int sums = L == 16 ? 2 : 4;
  static constexpr int unit_vectors = sums;
  using X = UnitVectors<sums>;
  using H = UnitVectors<sums>;
};

// Where vector n of a panel starts among the units.
template <class Layout>
constexpr int64_t unit_of(int64_t panel, int n) {
  const int64_t first = panel * Layout::unit_vectors * L;
  return Layout::unit_vectors == 1 ? first : first + n * L;
}

constexpr int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
constexpr int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
constexpr int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }

template <class Layout>
int64_t panels_of(const Cell& cell) {
  return ceil_div(cell.units, Layout::unit_vectors * L);
}

// The columns of a plain matrix in panels of one to four vectors, as even as can be.
struct Columns {
  int64_t columns;
  int64_t panels;
  int64_t vectors;  // of each panel but the last, which may have fewer

  explicit Columns(int64_t count) : columns(count) {
    const int64_t all = ceil_div(count, L);
    panels = ceil_div(all, 4);
    vectors = panels == 0 ? 0 : ceil_div(all, panels);
    if (panels > 0) panels = ceil_div(all, vectors);
  }
  int64_t vectors_of(int64_t panel) const {
    return least(vectors, ceil_div(columns, L) - panel * vectors);
  }
  // Floats before a panel, for a matrix of `depth` rows.
  int64_t start(int64_t panel, int64_t depth) const { return panel * vectors * L * depth; }
  int64_t size(int64_t depth) const { return ceil_div(columns, L) * L * depth; }
};

}  // namespace seqstate::SEQSTATE_BUILD
