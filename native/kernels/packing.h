// Weights in the order in which the kernels read them.
#pragma once

#include "layouts.h"
#include "scratch.h"

namespace seqstate::SEQSTATE_BUILD {

// The panels of a cell, and for each panel the vectors that its sums start from.
struct Panels {
  const float* weights;
  int64_t stride;        // floats from panel to panel
  const float* bias;     // [panel][sum][L]
  const float* candidate;  // GRU with reset_after=False: [units, units] in Columns, else null

  const float* panel(int64_t p) const { return weights + p * stride; }
};

inline void copy_vector(float* to, const float* from, int64_t count) {
  if (count <= 0) V(0.0f).store(to);
  else V::load(from, count).store(to);
}

template <class Layout>
int64_t panel_floats(const Cell& cell) {
  return (cell.features * Layout::X::count + cell.units * Layout::H::count) * L;
}

template <class Layout>
int64_t packed_floats(const Cell& cell) {
  const int64_t panels = panels_of<Layout>(cell);
  int64_t floats = panels * (panel_floats<Layout>(cell) + Layout::sums * L);
  if (cell.kind == Kind::gru && !cell.reset_after) floats += Columns(cell.units).size(cell.units);
  return floats;
}

// A matrix [depth, columns] whose rows are `stride` apart.
inline void pack_columns(float* out, const float* matrix, int64_t depth, int64_t columns,
                         int64_t stride) {
  const Columns in(columns);
  for (int64_t p = 0; p < in.panels; ++p) {
    for (int64_t k = 0; k < depth; ++k) {
      for (int64_t v = 0; v < in.vectors_of(p); ++v, out += L) {
        const int64_t column = (p * in.vectors + v) * L;
        copy_vector(out, matrix + k * stride + column, columns - column);
      }
    }
  }
}

template <class Layout, class Part>
float* pack_part(float* out, const float* kernel, int64_t depth, int64_t units, int blocks,
                 int64_t panel) {
  for (int64_t k = 0; k < depth; ++k) {
    for (int n = 0; n < Part::count; ++n, out += L) {
      const int64_t unit = unit_of<Layout>(panel, n);
      copy_vector(out, kernel + (k * blocks + Part::block(n)) * units + unit, units - unit);
    }
  }
  return out;
}

// What a panel's sum starts from: the bias of the input and, where both go to it, of the state.
template <class Layout>
void pack_bias(float* out, const Cell& cell, const Weights& w, int64_t panel) {
  for (int n = 0; n < Layout::sums; ++n) V(0.0f).store(out + n * L);
  const auto add = [&](const float* bias, int block, int sum, int n) {
    const int64_t unit = unit_of<Layout>(panel, n), count = cell.units - unit;
    if (bias == nullptr || count <= 0) return;
    const V more = V::load(bias + block * cell.units + unit, count);
    (V::load(out + sum * L) + more).store(out + sum * L);
  };
  for (int n = 0; n < Layout::X::count; ++n) {
    add(w.bias, Layout::X::block(n), Layout::X::to(n), n);
  }
  for (int n = 0; n < Layout::H::count; ++n) {
    add(w.recurrent_bias, Layout::H::block(n), Layout::H::to(n), n);
  }
}

// The panels that lie in `memory`.
template <class Layout>
Panels panels_at(const float* memory, const Cell& cell) {
  const int64_t panels = panels_of<Layout>(cell), stride = panel_floats<Layout>(cell);
  Panels packed{memory, stride, memory + panels * stride, nullptr};
  if (cell.kind == Kind::gru && !cell.reset_after) {
    packed.candidate = packed.bias + panels * Layout::sums * L;
  }
  return packed;
}

// `memory` has room for packed_floats.
template <class Layout>
Panels pack_cell(float* memory, const Cell& cell, const Weights& w) {
  const int64_t panels = panels_of<Layout>(cell);
  const int blocks = blocks_of(cell.kind);
  float* out = memory;
  for (int64_t p = 0; p < panels; ++p) {
    out = pack_part<Layout, typename Layout::X>(out, w.kernel, cell.features, cell.units, blocks,
                                                p);
    out = pack_part<Layout, typename Layout::H>(out, w.recurrent_kernel, cell.units, cell.units,
                                                blocks, p);
  }
  for (int64_t p = 0; p < panels; ++p, out += Layout::sums * L) {
    pack_bias<Layout>(out, cell, w, p);
  }
  if (cell.kind == Kind::gru && !cell.reset_after) {
    pack_columns(out, w.recurrent_kernel + 2 * cell.units, cell.units, cell.units,
                 3 * cell.units);
  }
  return panels_at<Layout>(memory, cell);
}

}  // namespace seqstate::SEQSTATE_BUILD
