// The steps of a chunk, back in time: the slopes of the equations, then the products that take
// them to the state before.
#pragma once

#include "chunk.h"
#include "cotangents.h"
#include "products.h"
#include "slopes.h"

namespace seqstate::SEQSTATE_BUILD {

template <class Layout>
class GradientStep {
 public:
  GradientStep(Scratch& scratch, const Gradient& wanted, const Cotangents<Layout>& cotangents)
      : d_x_(wanted.d_x),
        run_(wanted.run),
        cotangents_(cotangents),
        units_(run_.cell.units),
        vectors_(ceil_div(units_, L)),
        width_(cotangents.width),
        usual_(is_usual(run_.cell)) {
    const Cell& cell = run_.cell;
    const float* recurrent = run_.weights.recurrent_kernel;
    state_ = Transposed::make(scratch, typename Layout::H{}, recurrent, units_, cell);
    if constexpr (kBefore) {
      d_reset_h_ = scratch.floats(run_.batch * width_);
      candidate_ = Transposed::make(scratch, CandidateState{}, recurrent, units_, cell);
    }
    if (d_x_.data != nullptr) {
      input_ = Transposed::make(scratch, typename Layout::X{}, run_.weights.kernel, cell.features,
                                cell);
    }
  }

  // Panels of units: parts of a step can be cut there.
  int64_t panels() const { return state_.columns.panels; }

  // Room for what is multiplied at one entry.
  int64_t row_floats() const {
    const Cell& cell = run_.cell;
    const int64_t most_numbers = most(cell.features * operands(run_.input_dropout),
                                      cell.units * operands(run_.recurrent_dropout));
    return ceil_div(most_numbers, 16) * 16;
  }

  // Rows begin ... end of a chunk, step by step; `row` has row_floats.
  void back(const ChunkArrays<Layout>& chunk, const Chunk& at, int64_t begin, int64_t end,
            float* row) const {
    fill(chunk, at, begin, end, row);
    for (int64_t i = 0; i < at.steps(); ++i) {
      slopes(chunk, at, i, begin, end, 0, vectors_);
      if constexpr (kBefore) {
        through_candidate(chunk, at, i, begin, end);
        reset_slopes(chunk, at, i, begin, end);
      }
      through_state(chunk, at, i, begin, end, 0, panels());
      cotangents_.start_anew(at.last - 1 - i, at.row + begin, at.row + end);
    }
  }

  // Turn i of a chunk, 0 ... steps, for the units of some panels: their slopes at step i need
  // only their own products of the step before.
  void turn(const ChunkArrays<Layout>& chunk, const Chunk& at, int64_t i, int64_t first_panel,
            int64_t end_panel) const {
    if (i > 0) through_state(chunk, at, i - 1, 0, at.rows, first_panel, end_panel);
    if (i == at.steps()) return;
    const int64_t vectors = state_.columns.vectors;
    slopes(chunk, at, i, 0, at.rows, first_panel * vectors, least(end_panel * vectors, vectors_));
  }

  // What was multiplied at each entry: row by row, since the steps of a row lie side by side.
  void fill(const ChunkArrays<Layout>& chunk, const Chunk& at, int64_t begin, int64_t end,
            float* row) const {
    const bool in_place = reads_in_place(run_);
    for (int64_t m = begin; m < end; ++m) {
      for (int64_t i = 0; i < at.steps(); ++i) {
        const int64_t k = i * at.rows + m, b = at.row + m, s = at.last - 1 - i;
        if (in_place) {
          chunk.inputs.put(k, seqstate::SEQSTATE_BUILD::at(run_.x, b, time_of(run_, s)));
        } else {
          copy_input(row, run_, b, s, Many::side_by_side);
          chunk.inputs.put(k, row);
        }
        fill_state(chunk, k, b, s, row);
      }
    }
  }

  // The cotangents of the input for entries begin ... end of a chunk.
  void input_gradient(const ChunkArrays<Layout>& chunk, const Chunk& at, int64_t begin,
                      int64_t end) const {
    Product p = product<typename Layout::X, kXBlocks>(chunk, at, input_, begin, end - begin);
    p.dropout = run_.input_dropout;
    p.to = d_x_.data + at.row * d_x_.row + time_of(run_, at.last - 1) * d_x_.step;
    p.to_row = d_x_.row;
    p.to_step = run_.go_backwards ? d_x_.step : -d_x_.step;
    p.room = run_.cell.features;
    multiply(p, 0, input_.columns.panels);
  }

 private:
  static constexpr int S = Layout::sums;
  static constexpr bool kLstm = std::is_same_v<Layout, LstmLayout>;
  static constexpr bool kSimple = std::is_same_v<Layout, SimpleLayout>;
  static constexpr bool kAfter = std::is_same_v<Layout, GruAfterLayout>;
  static constexpr bool kBefore = std::is_same_v<Layout, GruBeforeLayout>;
  static constexpr int kStates = Cotangents<Layout>::kStates;
  static constexpr int kGates = kLstm ? 4 : kSimple ? 0 : 3;
  static constexpr int kKept = kGates + (kAfter ? 1 : 0);
  // Blocks of the kernels, and of the recurrent kernel without a candidate apart.
  static constexpr int kXBlocks = kSimple ? 1 : Layout::X::count;
  static constexpr int kHBlocks = kSimple ? 1 : Layout::H::count;
  // Vectors of units whose slopes are found side by side: two of them fill a line of the caches.
  static constexpr int kPair = 2;

  void fill_state(const ChunkArrays<Layout>& chunk, int64_t k, int64_t b, int64_t s,
                  float* row) const {
    const Dropout& dropout = run_.recurrent_dropout;
    const float* h = cotangents_.before(0, b, s);
    if (dropout.count > 0) {
      drop(row, h, 1, dropout, b, run_.batch, units_, Many::side_by_side);
      chunk.states.put(k, row);
    } else {
      chunk.states.put(k, h);
    }
    if constexpr (kBefore) {
      // r * h as the candidate's product had it; where the step is skipped, r is zero.
      const float* r = seqstate::SEQSTATE_BUILD::at(run_.kept[1], b, s);
      for (int64_t u = 0; u < units_; ++u) row[u] = r[u] * h[u];
      if (dropout.count > 0) {
        const float* mask = mask_of(dropout, dropout.count - 1, b, run_.batch, units_);
        for (int64_t u = 0; u < units_; ++u) row[u] *= mask[u];
      }
      chunk.resets.put(k, row);
    }
  }

  // The slopes of step i of a chunk, for some of its rows and some vectors of units.
  void slopes(const ChunkArrays<Layout>& chunk, const Chunk& at, int64_t i, int64_t begin,
              int64_t end, int64_t first_vector, int64_t end_vector) const {
    for (int64_t m = begin; m < end; ++m) {
      const int64_t k = i * at.rows + m, b = at.row + m, s = at.last - 1 - i;
      if (skips(run_, b, s)) pass(chunk, k, b, s, first_vector, end_vector);
      else if (usual_) slopes(Usual(run_.cell), chunk, k, b, s, first_vector, end_vector);
      else slopes(Chosen(run_.cell), chunk, k, b, s, first_vector, end_vector);
      if constexpr (kSimple) {
        if (end_vector == vectors_) clear_rest(chunk, k);
      }
    }
  }

  // A skipped step: the cotangents of the state go through.
  void pass(const ChunkArrays<Layout>& chunk, int64_t k, int64_t b, int64_t s,
            int64_t first_vector, int64_t end_vector) const {
    for (int state = 0; state < kStates; ++state) {
      const float* more = row(cotangents_.of_states[state], b, s);
      for (int64_t v = first_vector; v < end_vector; ++v) {
        float* d = cotangents_.running[state] + b * width_ + v * L;
        (V::load(d) + V::load(more + v * L, units_ - v * L)).store(d);
      }
    }
    for (int64_t v = first_vector; v < end_vector; ++v) {
      for (int n = 0; n < (kSimple ? 1 : S); ++n) V(0.0f).store(chunk.of(k, v, n));
    }
  }

  template <class T>
  static const float* row(const Sequences<T>& array, int64_t b, int64_t s) {
    return array.data + b * array.row + s * array.step;
  }

  // The rows that the slopes of one entry are made of. Those of the step before it are read next,
  // but far away, so that the processor does not see it coming: they are asked for here.
  struct Given {
    const float *more_h, *more_c, *after, *h, *c;
    const float* kept[kMaxKept];
    const float* d_gates[kMaxKept];
    int64_t next_more, next_after, next_kept;

    // Inlined, or a compiler takes it for a function without effect and leaves it out.
    [[gnu::always_inline]] void ask(int64_t first) const {
      __builtin_prefetch(more_h + next_more + first);
      __builtin_prefetch(after + next_after + first);
      SEQSTATE_UNROLL
      for (int i = 0; i < kKept; ++i) __builtin_prefetch(kept[i] + next_kept + first);
    }
  };

  Given given(int64_t b, int64_t s) const {
    Given g{};
    const auto& state = run_.states[kLstm ? 1 : 0];
    g.more_h = row(cotangents_.of_states[0], b, s);
    g.after = row(state, b, s);
    g.h = cotangents_.before(0, b, s);
    if constexpr (kLstm) {
      g.more_c = row(cotangents_.of_states[1], b, s);
      g.c = cotangents_.before(1, b, s);
    }
    for (int i = 0; i < kKept; ++i) g.kept[i] = row(run_.kept[i], b, s);
    if (cotangents_.has_gates) {
      for (int i = 0; i < kGates; ++i) g.d_gates[i] = row(cotangents_.of_gates[i], b, s);
    }
    if (s > 0) {
      g.next_more = -cotangents_.of_states[0].step;
      g.next_after = -state.step;
      g.next_kept = -run_.kept[0].step;
    }
    return g;
  }

  template <class Act>
  void slopes(const Act& act, const ChunkArrays<Layout>& chunk, int64_t k, int64_t b, int64_t s,
              int64_t first_vector, int64_t end_vector) const {
    if (cotangents_.has_gates) slopes<true>(act, chunk, k, b, s, first_vector, end_vector);
    else slopes<false>(act, chunk, k, b, s, first_vector, end_vector);
  }

  template <bool gates, class Act>
  void slopes(const Act& act, const ChunkArrays<Layout>& chunk, int64_t k, int64_t b, int64_t s,
              int64_t first_vector, int64_t end_vector) const {
    const Given from = given(b, s);
    float* dh = cotangents_.running[0] + b * width_;
    float* dc = kLstm ? cotangents_.running[kLstm ? 1 : 0] + b * width_ : nullptr;

    const auto some = [&](auto size, int64_t v, auto load) {
      constexpr int N = size();
      const int64_t start = v * L;
      SEQSTATE_UNROLL
      for (int j = 0; j < N; ++j) from.ask(start + j * L);
      V after[N];
      if constexpr (kLstm || kSimple) {
        SEQSTATE_UNROLL
        for (int j = 0; j < N; ++j) after[j] = load(from.after + start + j * L);
      }
      if constexpr (kLstm) act.cell(after);
      SEQSTATE_UNROLL
      for (int j = 0; j < N; ++j) {
        const int64_t first = start + j * L;
        Slope slope;
        slope.dh = V::load(dh + first) + load(from.more_h + first);
        slope.h_before = load(from.h + first);
        SEQSTATE_UNROLL
        for (int i = 0; i < kKept; ++i) slope.kept[i] = load(from.kept[i] + first);
        SEQSTATE_UNROLL
        for (int i = 0; i < kGates; ++i) {
          slope.d_gates[i] = gates ? load(from.d_gates[i] + first) : V(0.0f);
        }
        if constexpr (kLstm) {
          slope.dc = V::load(dc + first) + load(from.more_c + first);
          slope.c_before = load(from.c + first);
          lstm_slope(act, after[j], slope);
          slope.dc.store(dc + first);
        } else if constexpr (kAfter) {
          gru_after_slope(act, slope);
        } else if constexpr (kBefore) {
          gru_slope(act, slope);
          slope.dz[1] = V(0.0f);
        } else {
          simple_slope(act, after[j], slope);
        }
        slope.dh.store(dh + first);
        SEQSTATE_UNROLL
        for (int n = 0; n < (kSimple ? 1 : S); ++n) slope.dz[n].store(chunk.of(k, v + j, n));
      }
    };
    const auto whole_vector = [](const float* p) { return V::load(p); };
    const int64_t whole = least(end_vector, units_ / L);
    int64_t v = first_vector;
    for (; v + kPair <= whole; v += kPair) some(Size<kPair>{}, v, whole_vector);
    for (; v < whole; ++v) some(Size<1>{}, v, whole_vector);
    for (; v < end_vector; ++v) {
      const int64_t count = units_ - v * L;
      some(Size<1>{}, v, [count](const float* p) { return V::load(p, count); });
    }
  }

  // A panel of unit vectors may have more of them than there are units.
  void clear_rest(const ChunkArrays<Layout>& chunk, int64_t k) const {
    const int64_t all = panels_of<Layout>(run_.cell) * Layout::unit_vectors;
    for (int64_t v = vectors_; v < all; ++v) V(0.0f).store(chunk.of(k, v, 0));
  }

  // GruBefore: the reset gate, once the cotangent of r * h is known.
  void reset_slopes(const ChunkArrays<Layout>& chunk, const Chunk& at, int64_t i, int64_t begin,
                    int64_t end) const {
    for (int64_t m = begin; m < end; ++m) {
      const int64_t k = i * at.rows + m, b = at.row + m, s = at.last - 1 - i;
      if (skips(run_, b, s)) continue;
      if (usual_) reset_slopes(Usual(run_.cell), chunk, k, b, s);
      else reset_slopes(Chosen(run_.cell), chunk, k, b, s);
    }
  }

  template <class Act>
  void reset_slopes(const Act& act, const ChunkArrays<Layout>& chunk, int64_t k, int64_t b,
                    int64_t s) const {
    const float* h = cotangents_.before(0, b, s);
    const float* r = row(run_.kept[1], b, s);
    const float* d_gate = row(cotangents_.of_gates[1], b, s);
    float* dh = cotangents_.running[0] + b * width_;
    for (int64_t v = 0; v < vectors_; ++v) {
      const int64_t first = v * L, count = units_ - first;
      Slope slope;
      slope.dh = V::load(dh + first);
      slope.h_before = V::load(h + first, count);
      slope.kept[1] = V::load(r + first, count);
      slope.d_gates[1] = V::load(d_gate + first, count);
      gru_reset_slope(act, V::load(d_reset_h_ + b * width_ + first), slope);
      slope.dh.store(dh + first);
      slope.dz[1].store(chunk.of(k, v, 1));
    }
  }

  // running[0] += dz times the transposed recurrent kernel, for the units of some column panels.
  void through_state(const ChunkArrays<Layout>& chunk, const Chunk& at, int64_t i, int64_t begin,
                     int64_t end, int64_t first_panel, int64_t end_panel) const {
    Product p = product<typename Layout::H, kHBlocks>(chunk, at, state_, i * at.rows + begin,
                                                      end - begin);
    p.dropout = run_.recurrent_dropout;
    p.to = cotangents_.running[0] + at.row * width_;
    p.how = Product::kAdd;
    p.back = (at.last - i) % 2 != 0;
    multiply(p, first_panel, end_panel);
  }

  void through_candidate(const ChunkArrays<Layout>& chunk, const Chunk& at, int64_t i,
                         int64_t begin, int64_t end) const {
    Product p =
        product<CandidateState, 1>(chunk, at, candidate_, i * at.rows + begin, end - begin);
    p.dropout = run_.recurrent_dropout;
    p.mask = 2;
    p.to = d_reset_h_ + at.row * width_;
    multiply(p, 0, candidate_.columns.panels);
  }

  // dz of `rows` entries times the transposed blocks of a part, into rows of `width_`.
  template <class Part, int Blocks>
  Product product(const ChunkArrays<Layout>& chunk, const Chunk& at, const Transposed& weights,
                  int64_t first, int64_t rows) const {
    Product p{};
    p.a = chunk.of(first, 0, 0);
    p.row = S * L;
    p.panel = chunk.panel_stride;
    p.many = Layout::unit_vectors;
    p.depth = units_;
    p.rows = rows;
    p.blocks = Blocks;
    for (int n = 0; n < Blocks; ++n) p.at[n] = kSimple ? 0 : Part::to(n) * L;
    p.b = weights.data;
    p.block = weights.block;
    p.columns = weights.columns;
    p.first = first;
    p.rows_of_step = at.rows;
    p.batch_row = at.row;
    p.batch = run_.batch;
    p.to_row = width_;
    p.room = width_;
    return p;
  }

  const Sequences<float>& d_x_;
  const Run& run_;
  const Cotangents<Layout>& cotangents_;
  const int64_t units_, vectors_, width_;
  const bool usual_;
  float* d_reset_h_ = nullptr;
  Transposed state_{nullptr, 0, Columns(0)};
  Transposed candidate_{nullptr, 0, Columns(0)};
  Transposed input_{nullptr, 0, Columns(0)};
};

}  // namespace seqstate::SEQSTATE_BUILD
