// Products with a plain packed matrix, the same code for all cells: back through a kernel, and
// the candidate of a GRU with reset_after=False.
#pragma once

#include "api.h"
#include "layouts.h"
#include "steps.h"
#include "tiles.h"

namespace seqstate::SEQSTATE_BUILD {

// to[m] = sum over the blocks of scale * (a[m] x b), for rows m and columns of `to`.
struct Product {
  // a: number k = v L + l of row m of a block lies at
  //    a + at[block] + v / many * panel + v % many * L + l + m * row.
  const float* a;
  int64_t row, panel, many;
  int64_t depth;
  int64_t rows;

  int blocks;
  int64_t at[kMaxBlocks];

  // b: each block [depth, columns] in Columns.
  const float* b;
  int64_t block;
  Columns columns{0};

  // Row m is row (first + m) % rows_of_step of step (first + m) / rows_of_step, and batch_row is
  // the row of the batch where they begin.
  int64_t first, rows_of_step;
  int64_t batch_row, batch;

  // A row of masks for each batch row and, if there are many, block; from `mask` on.
  Dropout dropout;
  int mask;

  // to + row * to_row + step * to_step; `room` floats of a row may be written.
  float* to;
  int64_t to_row, to_step, room;
  // Whether the sums go on from what stands there (one block, no dropout), or are added to it.
  enum { kSet, kAdd, kContinue } how;
  // Takes panels and blocks in the opposite order. What is multiplied again and again, in turn
  // forth and back, begins with the weights that are still in the caches.
  bool back;
};

// Numbers of k whose weights stay in the nearest cache while the rows go by, and rows whose sums
// wait for the next of them.
constexpr int64_t kDepthOfPiece = 128;
constexpr int64_t kRowsOfPiece = 48;

// Whether the sums of a block are added to what stands there.
inline bool adds(const Product& p, int block) {
  return p.how == Product::kAdd ||
         (p.how == Product::kSet && block != (p.back ? p.blocks - 1 : 0));
}

// The sums of a row and a block go where they belong, from column `column` on.
template <int N>
[[gnu::always_inline]] inline void give(const Product& p, int block, int64_t batch_row,
                                        int64_t column, float* to, const V (&sums)[N]) {
  const bool added = adds(p, block);
  if (p.dropout.count == 0 && column + N * L <= p.room) {
    SEQSTATE_UNROLL
    for (int n = 0; n < N; ++n) (added ? V::load(to + n * L) + sums[n] : sums[n]).store(to + n * L);
    return;
  }
  const int64_t columns = p.columns.columns;
  for (int n = 0; n < N; ++n, column += L, to += L) {
    V sum = sums[n];
    if (p.dropout.count > 0) {
      const int mask = p.dropout.count > 1 ? p.mask + block : 0;
      const float* scale = mask_of(p.dropout, mask, batch_row, p.batch, columns) + column;
      sum = sum * V::load(scale, columns - column);
    }
    if (added) sum = V::load(to, p.room - column) + sum;
    sum.store(to, p.room - column);
  }
}

// Numbers from ... to - 1 of one block, for M rows and one panel. The sums go on from `partial`
// and back there, or to where the product goes if these are the last.
template <int M, int N>
[[gnu::noinline]] void multiply_tile(const Product& p, int64_t m0, int64_t panel, int block,
                                     int64_t from, int64_t to, float* partial, Later later) {
  const int64_t column = panel * p.columns.vectors * L;
  // Where each row goes, and the row of the batch that it belongs to.
  float* places[M];
  int64_t rows[M];
  int64_t step = (p.first + m0) / p.rows_of_step, row = p.first + m0 - step * p.rows_of_step;
  for (int m = 0; m < M; ++m) {
    places[m] = p.to + row * p.to_row + step * p.to_step + column;
    rows[m] = p.batch_row + row;
    if (++row == p.rows_of_step) {
      row = 0;
      ++step;
    }
  }
  const auto stands = [&](int m, int n) {
    return V::load(places[m] + n * L, p.room - column - n * L);
  };
  const bool goes_on = p.how == Product::kContinue;
  Sums<M, N> sums = from > 0 ? loaded<M, N>(partial, N * L) : zeros<M, N>();
  if (from == 0 && goes_on) sums = Sums<M, N>(stands);

  const float* b = p.b + block * p.block + p.columns.start(panel, p.depth) + from * N * L;
  const float* a = p.a + p.at[block] + m0 * p.row;
  int64_t place = from / L / p.many * p.panel, vector = from / L % p.many;
  for (int64_t k = from; k < to; k += L) {
    const int64_t count = least(L, to - k);
    accumulate<Straight<N>>(sums, a + place + vector * L, p.row, count, b, later);
    b += count * N * L;
    if (++vector == p.many) {
      vector = 0;
      place += p.panel;
    }
  }
  if (to < p.depth) return store(sums, partial, N * L);

  SEQSTATE_UNROLL
  for (int m = 0; m < M; ++m) give(p, block, rows[m], column, places[m], sums.v[m]);
}

// One row, and P blocks side by side: one of them alone would wait for its sums.
template <int P, int N>
[[gnu::noinline]] void multiply_row(const Product& p, int64_t m, int64_t panel, int first_block) {
  const int64_t column = panel * p.columns.vectors * L;
  const int64_t step = (p.first + m) / p.rows_of_step, row = (p.first + m) % p.rows_of_step;
  const int order = p.back ? -1 : 1;
  const float* a[P];
  const float* b[P];
  for (int i = 0; i < P; ++i) {
    const int block = first_block + order * i;
    a[i] = p.a + p.at[block] + m * p.row;
    b[i] = p.b + block * p.block + p.columns.start(panel, p.depth);
  }
  Sums<P, N> sums = zeros<P, N>();
  int64_t place = 0, vector = 0;
  for (int64_t k = 0; k < p.depth; k += L) {
    const int64_t count = least(L, p.depth - k);
    for (int64_t l = 0; l < count; ++l) {
      SEQSTATE_UNROLL
      for (int i = 0; i < P; ++i) {
        const V x = held(V::broadcast(a[i] + place + vector * L + l));
        SEQSTATE_UNROLL
        for (int n = 0; n < N; ++n) sums.add(i, n, x, V::load(b[i] + ((k + l) * N + n) * L));
      }
    }
    if (++vector == p.many) {
      vector = 0;
      place += p.panel;
    }
  }
  float* to = p.to + row * p.to_row + step * p.to_step + column;
  SEQSTATE_UNROLL
  for (int i = 0; i < P; ++i) {
    give(p, first_block + order * i, p.batch_row + row, column, to, sums.v[i]);
  }
}

// Some rows, and the columns of one panel; `next` is the panel after it, or -1 where its weights
// are not to be asked for.
template <int N>
void multiply_rows(const Product& p, int64_t first_row, int64_t rows, int64_t panel,
                   int64_t next) {
  const auto block_of = [&](int i) { return p.back ? p.blocks - 1 - i : i; };
  if (rows == 1 && p.how != Product::kContinue) {
    int i = 0;
    for (; i + 2 <= p.blocks; i += 2) multiply_row<2, N>(p, first_row, panel, block_of(i));
    if (i < p.blocks) multiply_row<1, N>(p, first_row, panel, block_of(i));
    return;
  }
  alignas(64) float partial[kRowsOfPiece * N * L];
  const int64_t pieces = rows <= tile_rows(N) ? 1 : ceil_div(p.depth, kDepthOfPiece);
  const int64_t vectors = ceil_div(p.depth, L);
  const int64_t shares = pieces * ceil_div(rows, tile_rows(N));
  for (int i = 0; i < p.blocks; ++i) {
    Later later;
    if (next >= 0) {
      const bool last = i + 1 == p.blocks;
      later.data = p.b + block_of(last ? 0 : i + 1) * p.block +
                   p.columns.start(last ? next : panel, p.depth);
      later.lines = p.depth * N * L / Later::kLine;
    }
    int64_t taken = 0;
    for (int64_t piece = 0; piece < pieces; ++piece) {
      const int64_t from = piece * vectors / pieces * L;
      const int64_t to = least(p.depth, (piece + 1) * vectors / pieces * L);
      in_tiles<tile_rows(N)>(rows, [&](auto size, int64_t m) {
        multiply_tile<size(), N>(p, first_row + m, panel, block_of(i), from, to,
                                 partial + m * N * L, later.share(taken++, shares));
      });
    }
  }
}

// The columns of some panels.
[[gnu::noinline]] inline void multiply(const Product& p, int64_t first_panel, int64_t end_panel) {
  const int64_t parts = ceil_div(p.rows, kRowsOfPiece), panels = end_panel - first_panel;
  const bool far = are_far(p.blocks * p.columns.size(p.depth));
  for (int64_t i = 0; i < panels; ++i) {
    const int64_t panel = p.back ? end_panel - 1 - i : first_panel + i;
    const int64_t next = !far || i + 1 == panels ? -1 : p.back ? panel - 1 : panel + 1;
    with_size<4>(p.columns.vectors_of(panel), [&](auto vectors) {
      for (int64_t part = 0; part < parts; ++part) {
        const int64_t first = part * p.rows / parts, end = (part + 1) * p.rows / parts;
        multiply_rows<vectors()>(p, first, end - first, panel, part + 1 == parts ? next : -1);
      }
    });
  }
}

// totals[m][n] += sum over k of a[k][m] * b[k][offsets[n]], for M rows of a that stand side by
// side; with `blocks` above 1 they are [m][block], and vector n takes block n.
template <int M, int N>
[[gnu::noinline]] void outer_tile(float* totals, const float* a, int64_t lda, int64_t count,
                                  const float* b, int64_t stride, const int64_t (&offsets)[4],
                                  int blocks) {
  auto sums = zeros<M, N>();
  if (blocks > 1) {
    for (int64_t k = 0; k < count; ++k, a += lda, b += stride) {
      SEQSTATE_UNROLL
      for (int n = 0; n < N; ++n) {
        const V w = held(V::load(b + offsets[n]));
        SEQSTATE_UNROLL
        for (int m = 0; m < M; ++m) sums.add(m, n, V::broadcast(a + m * blocks + n), w);
      }
    }
  } else {
    for (int64_t k = 0; k < count; ++k, a += lda, b += stride) {
      add_products<Straight<N>>(
          sums, [&](int m) { return V::broadcast(a + m); },
          [&](int n) { return V::load(b + offsets[n]); });
    }
  }
  sums.each([&](int m, int n, V sum) {
    float* total = totals + (m * N + n) * L;
    (V::load(total) + sum).store(total);
  });
}

}  // namespace seqstate::SEQSTATE_BUILD
