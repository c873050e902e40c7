// A dense layer: rows times a packed matrix, from the bias to the activation.
#pragma once

#include "activations.h"
#include "dense_calls.h"
#include "packing.h"
#include "scratch.h"
#include "steps.h"
#include "tiles.h"

namespace seqstate::SEQSTATE_BUILD {

// f(vectors) on all of x, four vectors at a time side by side.
template <class F>
[[gnu::always_inline]] inline void each_vector(const float* x, float* out, int64_t count,
                                               const F& f) {
  int64_t i = 0;
  for (; i + 4 * L <= count; i += 4 * L) {
    V v[4];
    SEQSTATE_UNROLL
    for (int n = 0; n < 4; ++n) v[n] = V::load(x + i + n * L);
    f(v);
    SEQSTATE_UNROLL
    for (int n = 0; n < 4; ++n) v[n].store(out + i + n * L);
  }
  for (; i < count; i += L) {
    V v[1] = {V::load(x + i, count - i)};
    f(v);
    v[0].store(out + i, count - i);
  }
}

// What pack_dense writes: the bias in whole vectors, zeros where there is none, then the kernel in
// Columns.
inline int64_t bias_floats(const Dense& dense) { return ceil_div(dense.units, L) * L; }

class DenseRows {
 public:
  DenseRows(const Dense& dense, const DenseRun& run)
      : dense_(dense), run_(run), columns_(dense.units), bias_(dense.packed),
        kernel_(dense.packed + bias_floats(dense)) {}

  void operator()(Executor& threads) const {
    const int64_t work = 2 * run_.rows * dense_.features * dense_.units;
    const int64_t members = work < kShared ? 1 : threads.threads();
    // More parts than threads, so that no thread waits long for another.
    const int64_t most_parts = 4 * members;
    const int64_t by_rows = least(most_parts, ceil_div(run_.rows, kRows));
    const int64_t by_panels = by_rows < members ? least(most_parts, columns_.panels) : 1;
    if (members == 1 || by_rows * by_panels == 1) return part(0, run_.rows, 0, columns_.panels);
    parallel(threads, by_rows * by_panels, [&](int64_t item) {
      const int64_t i = item / by_panels, j = item % by_panels;
      part(i * run_.rows / by_rows, (i + 1) * run_.rows / by_rows,
           j * columns_.panels / by_panels, (j + 1) * columns_.panels / by_panels);
    });
  }

 private:
  // Work below which a second thread costs more than it saves.
  static constexpr int64_t kShared = 3'000'000;
  // Rows that go through all panels before the next ones do.
  static constexpr int64_t kRows = 48;
  // Floats of a panel that stay in the nearest cache while the rows go by.
  static constexpr int64_t kPanel = (V::registers == 16 ? 20 : 40) * 1024 / 4;
  // A row alone takes so many panels at a time: one of them alone would wait for its sums.
  static constexpr int kPanelsOfRow = 3;

  void part(int64_t first, int64_t end, int64_t first_panel, int64_t end_panel) const {
    const int64_t blocks = ceil_div(end - first, kRows);
    for (int64_t i = 0; i < blocks; ++i) {
      const int64_t from = first + i * (end - first) / blocks;
      block(from, first + (i + 1) * (end - first) / blocks - from, first_panel, end_panel);
    }
  }

  void block(int64_t first, int64_t rows, int64_t first_panel, int64_t end_panel) const {
    const float* x = run_.x.data + first * run_.x.row;
    float* out = run_.out.data + first * run_.out.row;
    if (run_.x.unit == 1) {
      multiply(x, run_.x.row, out, rows, first_panel, end_panel);
    } else {
      Scratch scratch;
      float* copy = scratch.floats(rows * dense_.features);
      for (int64_t m = 0; m < rows; ++m) {
        copy_row(copy + m * dense_.features, x + m * run_.x.row, run_.x.unit, dense_.features);
      }
      multiply(copy, dense_.features, out, rows, first_panel, end_panel);
    }
    if (dense_.activation == Activation::linear) return;
    const int64_t from = column(first_panel), count = least(column(end_panel), dense_.units) - from;
    for (int64_t m = 0; m < rows; ++m, out += run_.out.row) {
      activate_all(dense_.activation, out + from, out + from, count);
    }
  }

  void multiply(const float* x, int64_t x_row, float* out, int64_t rows, int64_t first_panel,
                int64_t end_panel) const {
    if (rows == 1) {
      // The last panel may have fewer vectors than the others.
      const int64_t last = columns_.panels - 1;
      const int64_t alike = columns_.vectors_of(last) == columns_.vectors ? end_panel
                                                                          : least(end_panel, last);
      with_size<4>(columns_.vectors, [&](auto n) {
        in_tiles<kPanelsOfRow>(alike - first_panel, [&](auto p, int64_t i) {
          row<p(), n()>(x, out, first_panel + i);
        });
      });
      if (alike == end_panel) return;
      return with_size<4>(columns_.vectors_of(last), [&](auto n) { row<1, n()>(x, out, last); });
    }
    for (int64_t panel = first_panel; panel < end_panel; ++panel) {
      with_size<4>(columns_.vectors_of(panel), [&](auto n) {
        constexpr int M = tile_rows(n());
        const int64_t floats = dense_.features * n() * L;
        const int64_t pieces = rows <= M ? 1 : ceil_div(floats, kPanel);
        for (int64_t i = 0; i < pieces; ++i) {
          const int64_t from = i * dense_.features / pieces;
          const int64_t count = (i + 1) * dense_.features / pieces - from;
          in_tiles<M>(rows, [&](auto m, int64_t first) {
            tile<m(), n()>(x + first * x_row + from, x_row, out + first * run_.out.row, panel,
                           from, count);
          });
        }
      });
    }
  }

  // Numbers from ... from + count - 1 of M rows; the sums go on from where they stand in `out`.
  template <int M, int N>
  [[gnu::noinline]] void tile(const float* x, int64_t x_row, float* out, int64_t panel,
                              int64_t from, int64_t count) const {
    const int64_t first = column(panel);
    out += first;
    Sums<M, N> sums([&](int, int n) { return V::load(bias_ + first + n * L); });
    if (from > 0) {
      sums = Sums<M, N>([&](int m, int n) {
        return V::load(out + m * run_.out.row + n * L, dense_.units - first - n * L);
      });
    }
    accumulate<Straight<N>>(sums, x, x_row, count, weights(panel) + from * N * L);
    if (dense_.units - first >= N * L) return store(sums, out, run_.out.row);
    sums.each([&](int m, int n, V sum) {
      sum.store(out + m * run_.out.row + n * L, dense_.units - first - n * L);
    });
  }

  // One row, P panels of N vectors.
  template <int P, int N>
  [[gnu::noinline]] void row(const float* x, float* out, int64_t panel) const {
    const int64_t first = column(panel);
    Sums<P, N> sums = loaded<P, N>(bias_ + first, N * L);
    accumulate_row<Straight<N>>(sums, x, dense_.features, weights(panel),
                                dense_.features * N * L);
    sums.each([&](int p, int n, V sum) {
      const int64_t at = first + (p * N + n) * L;
      sum.store(out + at, dense_.units - at);
    });
  }

  int64_t column(int64_t panel) const { return panel * columns_.vectors * L; }
  const float* weights(int64_t panel) const {
    return kernel_ + columns_.start(panel, dense_.features);
  }

  const Dense& dense_;
  const DenseRun& run_;
  const Columns columns_;
  const float* bias_;
  const float* kernel_;
};

}  // namespace seqstate::SEQSTATE_BUILD
