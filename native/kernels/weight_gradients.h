// The gradients of the weights: sums over all steps and rows, chunk by chunk.
//
// Entries are summed in blocks of 128 that start from zero, and the blocks are added up: the
// rounding of a long sum grows with the block, not with the sum. The blocks are the same for any
// number of threads, and so are the bits.
#pragma once

#include "chunk.h"
#include "products.h"

namespace seqstate::SEQSTATE_BUILD {

template <class Layout>
class WeightGradients {
 public:
  static constexpr int S = Layout::sums;
  static constexpr bool kBefore = std::is_same_v<Layout, GruBeforeLayout>;
  using X = typename Layout::X;
  using H = typename Layout::H;

  WeightGradients(Scratch& scratch, const Gradient& wanted)
      : wanted_(wanted), cell_(wanted.run.cell), panels_(panels_of<Layout>(cell_)) {
    if (wanted.d_kernel != nullptr) kernel_ = zeros(scratch, X::count * cell_.features);
    if (wanted.d_recurrent_kernel != nullptr) {
      recurrent_ = zeros(scratch, H::count * cell_.units);
      if constexpr (kBefore) candidate_ = zeros(scratch, cell_.units);
    }
    if (wanted.d_bias != nullptr || wanted.d_recurrent_bias != nullptr) bias_ = zeros(scratch, S);
  }

  bool any() const { return kernel_ != nullptr || recurrent_ != nullptr || bias_ != nullptr; }

  // The work of a chunk falls into `items` that can be done in any order.
  int64_t items(int threads) const {
    const int64_t groups = most(ceil_div(cell_.features, Factors::kGroup),
                                ceil_div(cell_.units, Factors::kGroup));
    const int64_t pieces = panels_ >= 4 * threads ? 1 : ceil_div(4 * threads, panels_);
    return panels_ * least(pieces, groups);
  }

  void add(const ChunkArrays<Layout>& chunk, int64_t entries, int64_t item, int64_t items) const {
    const int64_t pieces = items / panels_, panel = item / pieces, piece = item % pieces;
    for (int64_t from = 0; from < entries; from += kBlock) {
      const int64_t count = least(kBlock, entries - from);
      const float* dz = chunk.dz + panel * chunk.panel_stride + from * S * L;
      if (kernel_ != nullptr) outer<X>(kernel_, panel, piece, pieces, chunk.inputs, from, count, dz);
      if (recurrent_ != nullptr) {
        outer<H>(recurrent_, panel, piece, pieces, chunk.states, from, count, dz);
        if constexpr (kBefore) {
          outer<CandidateState>(candidate_, panel, piece, pieces, chunk.resets, from, count, dz);
        }
      }
      if (bias_ != nullptr && piece == 0) add_bias(bias_ + panel * S * L, count, dz);
    }
  }

  void finish() const {
    const int blocks = blocks_of(cell_.kind);
    if (kernel_ != nullptr) unpack<X>(wanted_.d_kernel, kernel_, cell_.features, blocks);
    if (recurrent_ != nullptr) {
      unpack<H>(wanted_.d_recurrent_kernel, recurrent_, cell_.units, blocks);
      if constexpr (kBefore) {
        unpack<CandidateState>(wanted_.d_recurrent_kernel, candidate_, cell_.units, blocks);
      }
    }
    if (wanted_.d_bias != nullptr) unpack_bias<X>(wanted_.d_bias);
    if (wanted_.d_recurrent_bias != nullptr) unpack_bias<H>(wanted_.d_recurrent_bias);
  }

 private:
  static constexpr int64_t kBlock = 128;

  float* zeros(Scratch& scratch, int64_t vectors) const {
    float* taken = scratch.floats(panels_ * vectors * L);
    for (int64_t i = 0; i < panels_ * vectors * L; ++i) taken[i] = 0.0f;
    return taken;
  }

  // totals: [panel][row][Part::count][L]
  template <class Part>
  void outer(float* totals, int64_t panel, int64_t piece, int64_t pieces, const Factors& factors,
             int64_t from, int64_t count, const float* dz) const {
    constexpr int N = Part::count;
    const int blocks = static_cast<int>(factors.each);
    int64_t offsets[4] = {};
    for (int n = 0; n < N; ++n) offsets[n] = Part::to(n) * L;
    for (int64_t group = piece; group < factors.groups(); group += pieces) {
      const float* a = factors.of(group, from);
      float* to = totals + (panel * factors.columns + group * Factors::kGroup) * N * L;
      in_tiles<tile_rows(N)>(factors.width(group), [&](auto size, int64_t i) {
        outer_tile<size(), N>(to + i * N * L, a + i * blocks, Factors::kGroup * blocks, count, dz,
                              S * L, offsets, blocks);
      });
    }
  }

  static void add_bias(float* total, int64_t count, const float* dz) {
    V sums[S];
    for (int n = 0; n < S; ++n) sums[n] = V(0.0f);
    for (int64_t k = 0; k < count; ++k) {
      for (int n = 0; n < S; ++n) sums[n] = sums[n] + V::load(dz + (k * S + n) * L);
    }
    for (int n = 0; n < S; ++n) (V::load(total + n * L) + sums[n]).store(total + n * L);
  }

  template <class Part>
  void unpack(float* out, const float* totals, int64_t rows, int blocks) const {
    for (int64_t p = 0; p < panels_; ++p) {
      for (int64_t row = 0; row < rows; ++row) {
        for (int n = 0; n < Part::count; ++n, totals += L) {
          const int64_t unit = unit_of<Layout>(p, n);
          if (unit >= cell_.units) continue;
          V::load(totals).store(out + (row * blocks + Part::block(n)) * cell_.units + unit,
                                cell_.units - unit);
        }
      }
    }
  }

  template <class Part>
  void unpack_bias(float* out) const {
    for (int64_t p = 0; p < panels_; ++p) {
      for (int n = 0; n < Part::count; ++n) {
        const int64_t unit = unit_of<Layout>(p, n);
        if (unit >= cell_.units) continue;
        V::load(bias_ + (p * S + Part::to(n)) * L)
            .store(out + Part::block(n) * cell_.units + unit, cell_.units - unit);
      }
    }
  }

  const Gradient& wanted_;
  const Cell& cell_;
  const int64_t panels_;
  float* kernel_ = nullptr;
  float* recurrent_ = nullptr;
  float* candidate_ = nullptr;
  float* bias_ = nullptr;
};

}  // namespace seqstate::SEQSTATE_BUILD
