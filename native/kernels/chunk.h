// What the gradient holds of a few steps at a time: small enough to stay in the caches.
#pragma once

#include <cstring>

#include "packing.h"
#include "scratch.h"
#include "steps.h"

namespace seqstate::SEQSTATE_BUILD {

// Steps last - 1, last - 2, ... first of some rows: entry k is step last - 1 - k / rows of row
// row + k % rows.
struct Chunk {
  int64_t row, rows;
  int64_t first, last;

  int64_t steps() const { return last - first; }
  int64_t entries() const { return steps() * rows; }
};

// How a run is cut into chunks: blocks of rows, each through all its steps before the next, so
// that the states of a row are read in one stretch; and of a block so many steps that two threads
// find a chunk in their caches. It depends on the shapes alone, and so do the bits.
template <class Layout>
struct Cuts {
  int64_t batch, time;
  int64_t rows, steps;  // of a chunk, at most

  explicit Cuts(const Run& run) : batch(run.batch), time(run.time) {
    constexpr int64_t kRows = 64, kFloats = 128 * 1024;
    const int64_t blocks = ceil_div(run.batch, kRows);
    rows = ceil_div(run.batch, blocks);
    const Cell& cell = run.cell;
    const int64_t step =
        rows * (panels_of<Layout>(cell) * Layout::sums * L + cell.features + cell.units);
    // At least enough entries for one block of the weight gradients' sums, and for some of them
    // where the gradients themselves don't fit into a cache.
    const int64_t weights = blocks_of(cell.kind) * cell.units * (cell.features + cell.units);
    const int64_t entries = weights > 2 * kFloats ? 512 : 128;
    steps = least(run.time, most(ceil_div(entries, rows), kFloats / step));
  }

  int64_t entries() const { return rows * steps; }
  int64_t chunks() const { return ceil_div(batch, rows) * ceil_div(time, steps); }
  Chunk chunk(int64_t n) const {
    const int64_t of_block = ceil_div(time, steps);
    const int64_t row = n / of_block * rows, last = time - n % of_block * steps;
    return {row, least(rows, batch - row), most(0, last - steps), last};
  }
};

// What was multiplied at each entry, in groups of columns: [group][k][kGroup][each], so that the
// weight gradients read a few columns of many entries in one stretch.
struct Factors {
  static constexpr int64_t kGroup = 24;

  float* data = nullptr;
  int64_t columns = 0, each = 1, entries = 0;

  Factors() = default;
  Factors(Scratch& scratch, int64_t count, int64_t masks, int64_t most_entries)
      : columns(count), each(masks), entries(most_entries) {
    data = scratch.floats(ceil_div(columns, kGroup) * stride());
  }
  // Floats from group to group.
  int64_t stride() const { return entries * kGroup * each; }
  int64_t groups() const { return ceil_div(columns, kGroup); }
  int64_t width(int64_t group) const { return least(kGroup, columns - group * kGroup); }
  float* of(int64_t group, int64_t k) const { return data + group * stride() + k * kGroup * each; }

  // A row of `columns * each` numbers.
  void put(int64_t k, const float* row) const {
    const int64_t group = kGroup * each;
    int64_t left = columns * each;
    float* to = data + k * group;
    for (; left >= group; left -= group, row += group, to += stride()) {
      // A size that is known here is copied in place.
      if (each == 1) std::memcpy(to, row, kGroup * sizeof(float));
      else copy_row(to, row, 1, group);
    }
    if (left > 0) copy_row(to, row, 1, left);
  }
};

// The arrays of a chunk. dz: [panel][k][sums][L], zeros beyond the units. What was multiplied: the
// input, the state and, for a GRU with reset_after=False, r * h, each after its dropout.
template <class Layout>
struct ChunkArrays {
  float* dz;
  int64_t panel_stride;
  Factors inputs, states, resets;

  static constexpr int S = Layout::sums;

  ChunkArrays(Scratch& scratch, const Run& run, int64_t entries)
      : inputs(scratch, run.cell.features, operands(run.input_dropout), entries),
        states(scratch, run.cell.units, operands(run.recurrent_dropout), entries) {
    // A cache holds only a few lines that lie a power of two apart: one line more parts them.
    constexpr int64_t kLine = 16;
    panel_stride = entries * S * L + kLine;
    dz = scratch.floats(panels_of<Layout>(run.cell) * panel_stride);
    if (run.cell.kind == Kind::gru && !run.cell.reset_after) {
      resets = Factors(scratch, run.cell.units, 1, entries);
    }
  }

  // The cotangents of entry k and unit vector v, for sum n of its panel.
  float* of(int64_t k, int64_t v, int n) const {
    if constexpr (Layout::unit_vectors == 1) return dz + v * panel_stride + (k * S + n) * L;
    constexpr int64_t many = Layout::unit_vectors;
    return dz + v / many * panel_stride + (k * S + v % many) * L;
  }
};

// The block of a kernel that belongs to one gate, transposed: [units, rows of the kernel] in
// Columns.
inline void pack_transposed(float* out, const float* kernel, int64_t rows, int64_t units,
                            int64_t stride) {
  const Columns in(rows);
  for (int64_t p = 0; p < in.panels; ++p) {
    const int64_t wide = in.vectors_of(p) * L, start = p * in.vectors * L;
    const int64_t here = least(wide, rows - start);
    for (int64_t j = 0; j < wide; ++j) {
      const float* from = kernel + (start + j) * stride;
      for (int64_t k = 0; k < units; ++k) out[k * wide + j] = j < here ? from[k] : 0.0f;
    }
    out += units * wide;
  }
}

// The blocks of a part of the weights, each transposed.
struct Transposed {
  float* data;
  int64_t block;  // floats a block
  Columns columns;

  template <class Part>
  static Transposed make(Scratch& scratch, Part, const float* kernel, int64_t rows,
                         const Cell& cell) {
    Transposed t{nullptr, 0, Columns(rows)};
    t.block = t.columns.size(cell.units);
    // A part of unit vectors has one block.
    const int count = blocks_of(cell.kind) == 1 ? 1 : Part::count;
    t.data = scratch.floats(count * t.block);
    const int64_t stride = blocks_of(cell.kind) * cell.units;
    for (int n = 0; n < count; ++n) {
      pack_transposed(t.data + n * t.block, kernel + Part::block(n) * cell.units, rows,
                      cell.units, stride);
    }
    return t;
  }
};

}  // namespace seqstate::SEQSTATE_BUILD
