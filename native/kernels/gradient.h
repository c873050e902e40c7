// The gradient of a run: back through the steps, in chunks, and the weight gradients of each.
#pragma once

#include <type_traits>

#include "chunk.h"
#include "executor.h"
#include "products.h"
#include "scratch.h"
#include "slopes.h"
#include "steps.h"
#include "team.h"
#include "weight_gradients.h"

namespace seqstate::SEQSTATE_BUILD {

constexpr int64_t kSharedGradient = 30000;

template <class Layout>
class Vjp {
 public:
  explicit Vjp(const Gradient& wanted)
      : wanted_(wanted),
        run_(wanted.run),
        units_(run_.cell.units),
        vectors_(ceil_div(units_, L)),
        width_(vectors_ * L),
        usual_(is_usual(run_.cell)) {}

  void operator()(Executor& threads) {
    Scratch scratch;
    const Cuts<Layout> cuts(run_);
    const ChunkArrays<Layout> chunk(scratch, run_, cuts.rows * cuts.steps);
    const WeightGradients<Layout> weights(scratch, wanted_);
    take(scratch);
    // Read once: somebody may change it meanwhile.
    const int all_threads = threads.threads();
    rows_ = scratch.floats(all_threads * row_floats());

    const int64_t step =
        2 * run_.batch * blocks_of(run_.cell.kind) * units_ * (units_ + run_.cell.features);
    const int count = step * run_.time < kSharedGradient ? 1 : all_threads;
    const bool together = count > 1 && run_.batch < 2 * count && shares_steps();
    for (int64_t row = 0; row < run_.batch; row += cuts.rows) {
      const int64_t rows = least(cuts.rows, run_.batch - row);
      for (int64_t last = run_.time; last > 0; last -= cuts.steps) {
        const Chunk at{row, rows, most(0, last - cuts.steps), last};
        if (together) {
          fill(chunk, at, 0, rows, rows_);
          back_together(threads, count, chunk, at);
        } else {
          each(threads, count, least(count, rows), [&](int64_t i, int64_t all) {
            back(chunk, at, i * rows / all, (i + 1) * rows / all, rows_ + i * row_floats());
          });
        }
        add_up(threads, count, weights, chunk, at);
      }
    }
    finish();
    weights.finish();
  }

 private:
  static constexpr int S = Layout::sums;
  static constexpr bool kLstm = std::is_same_v<Layout, LstmLayout>;
  static constexpr bool kSimple = std::is_same_v<Layout, SimpleLayout>;
  static constexpr bool kAfter = std::is_same_v<Layout, GruAfterLayout>;
  static constexpr bool kBefore = std::is_same_v<Layout, GruBeforeLayout>;
  static constexpr int kStates = kLstm ? 2 : 1;
  static constexpr int kGates = kLstm ? 4 : kSimple ? 0 : 3;
  static constexpr int kKept = kGates + (kAfter ? 1 : 0);
  // Blocks of the kernels, and of the recurrent kernel without a candidate apart.
  static constexpr int kXBlocks = kSimple ? 1 : Layout::X::count;
  static constexpr int kHBlocks = kSimple ? 1 : Layout::H::count;

  // body(item, items), on one thread or on more.
  template <class Body>
  static void each(Executor& threads, int count, int64_t items, const Body& body) {
    if (items > 1 && count > 1) {
      parallel(threads, items, [&](int64_t i) { body(i, items); });
    } else {
      for (int64_t i = 0; i < items; ++i) body(i, items);
    }
  }

  // What a chunk adds to the gradients of the input and of the weights.
  void add_up(Executor& threads, int count, const WeightGradients<Layout>& weights,
              const ChunkArrays<Layout>& chunk, const Chunk& at) const {
    const int64_t entries = at.entries();
    const int64_t inputs = wanted_.d_x.data == nullptr ? 0 : count;
    const int64_t items = weights.any() ? weights.items(count) : 0;
    each(threads, count, inputs + items, [&](int64_t i, int64_t) {
      if (i < inputs) {
        input_gradient(chunk, at, i * entries / inputs, (i + 1) * entries / inputs);
      } else {
        weights.add(chunk, entries, i - inputs, items);
      }
    });
  }

  // Room for what is multiplied at one entry, for each thread.
  int64_t row_floats() const {
    const Cell& cell = run_.cell;
    const int64_t most_numbers = most(cell.features * operands(run_.input_dropout),
                                      cell.units * operands(run_.recurrent_dropout));
    return ceil_div(most_numbers, 16) * 16;
  }

  // Dense copies of what is read with whole vectors, and the running cotangents of the states:
  // [batch][width_] each.
  void take(Scratch& scratch) {
    const Cell& cell = run_.cell;
    const int64_t all = run_.batch * width_;
    for (int i = 0; i < kStates; ++i) {
      d_states_[i] = dense(scratch, wanted_.d_states[i]);
      d_state_[i] = dense(scratch, wanted_.d_last[i]);
      initial_[i] = dense(scratch, run_.initial[i]);
      fresh_[i] = run_.reset_mask.data == nullptr ? nullptr : dense(scratch, run_.fresh[i]);
      d_fresh_[i] = wanted_.d_fresh[i].data == nullptr
                        ? nullptr
                        : dense(scratch, Vectors<const float>{});
    }
    for (int i = 0; i < kGates; ++i) {
      d_gates_[i] = dense(scratch, wanted_.d_gates[i]);
      has_d_gates_ = has_d_gates_ || wanted_.d_gates[i].data != nullptr;
    }
    if (kBefore) d_reset_h_ = scratch.floats(all);
    state_ = Transposed::make(scratch, typename Layout::H{}, run_.weights.recurrent_kernel,
                              units_, cell);
    if (kBefore) {
      candidate_ = Transposed::make(scratch, CandidateState{}, run_.weights.recurrent_kernel,
                                    units_, cell);
    }
    if (wanted_.d_x.data != nullptr) {
      input_ = Transposed::make(scratch, typename Layout::X{}, run_.weights.kernel,
                                cell.features, cell);
    }
  }

  // A cotangent whose units stand side by side: itself, a copy, or one row of zeros for all.
  Sequences<const float> dense(Scratch& scratch, const Sequences<const float>& given) const {
    if (given.data != nullptr && given.unit == 1) return given;
    float* copy = scratch.floats(given.data == nullptr ? width_ : run_.batch * run_.time * units_);
    if (given.data == nullptr) {
      copy_row(copy, nullptr, 1, width_);
      return {copy, 0, 0, 1};
    }
    for (int64_t b = 0; b < run_.batch; ++b) {
      for (int64_t s = 0; s < run_.time; ++s) {
        copy_row(copy + (b * run_.time + s) * units_, seqstate::SEQSTATE_BUILD::at(given, b, s),
                 given.unit, units_);
      }
    }
    return {copy, run_.time * units_, units_, 1};
  }

  float* dense(Scratch& scratch, const Vectors<const float>& given) const {
    float* copy = scratch.floats(run_.batch * width_);
    for (int64_t b = 0; b < run_.batch; ++b) {
      copy_row(copy + b * width_, at(given, b), given.unit, units_);
      copy_row(copy + b * width_ + units_, nullptr, 1, width_ - units_);
    }
    return copy;
  }

  // As in the run: a state that needs work between two steps is left to one thread.
  bool shares_steps() const {
    return !kBefore && run_.reset_mask.data == nullptr && run_.recurrent_dropout.count == 0 &&
           run_.time > 1 && state_.columns.panels > 1;
  }

  // Rows begin ... end of a chunk, step by step.
  void back(const ChunkArrays<Layout>& chunk, const Chunk& at, int64_t begin, int64_t end,
            float* row) {
    fill(chunk, at, begin, end, row);
    for (int64_t i = 0; i < at.steps(); ++i) {
      slopes(chunk, at, i, begin, end, 0, vectors_);
      if constexpr (kBefore) {
        through_candidate(chunk, at, i, begin, end);
        reset_slopes(chunk, at, i, begin, end);
      }
      through_state(chunk, at, i, begin, end, 0, state_.columns.panels);
      start_anew(at.last - 1 - i, at.row + begin, at.row + end);
    }
  }

  // Few rows: the units to threads. A part's slopes need the products of its own units only.
  void back_together(Executor& threads, int count, const ChunkArrays<Layout>& chunk,
                     const Chunk& at) {
    const Columns& in = state_.columns;
    const int parts = static_cast<int>(least(least(count, in.panels), Team::kMost));
    Team team(parts, at.steps() + 1);
    parallel(threads, parts, [&](int64_t member) {
      team.work(static_cast<int>(member), [&](int64_t i, int part) {
        const int64_t first = part * in.panels / parts, end = (part + 1) * in.panels / parts;
        if (i > 0) through_state(chunk, at, i - 1, 0, at.rows, first, end);
        if (i < at.steps()) {
          slopes(chunk, at, i, 0, at.rows, first * in.vectors, least(end * in.vectors, vectors_));
        }
      });
    });
  }

  // What was multiplied at each entry.
  void fill(const ChunkArrays<Layout>& chunk, const Chunk& at, int64_t begin, int64_t end,
            float* row) const {
    const Dropout& dropout = run_.recurrent_dropout;
    for (int64_t m = begin; m < end; ++m) {
      const int64_t b = at.row + m;
      for (int64_t i = 0; i < at.steps(); ++i) {
        const int64_t k = i * at.rows + m, s = at.last - 1 - i;
        copy_input(row, run_, b, s);
        chunk.inputs.put(k, row);
        const float* h = before(0, b, s);
        if (dropout.count > 0) {
          drop(row, h, 1, dropout, b, run_.batch, units_);
          chunk.states.put(k, row);
        } else {
          chunk.states.put(k, h);
        }
        if constexpr (kBefore) {
          fill_reset(row, h, b, s);
          chunk.resets.put(k, row);
        }
      }
    }
  }

  // r * h as the candidate's product had it; where the step is skipped, r is zero.
  void fill_reset(float* to, const float* h, int64_t b, int64_t s) const {
    const float* r = seqstate::SEQSTATE_BUILD::at(run_.kept[1], b, s);
    const Dropout& dropout = run_.recurrent_dropout;
    for (int64_t u = 0; u < units_; ++u) to[u] = r[u] * h[u];
    if (dropout.count == 0) return;
    const float* mask = mask_of(dropout, dropout.count - 1, b, run_.batch, units_);
    for (int64_t u = 0; u < units_; ++u) to[u] *= mask[u];
  }

  // A state before a step.
  const float* before(int i, int64_t b, int64_t s) const {
    if (starts_anew(run_, b, s)) return fresh_[i] + b * width_;
    if (s == 0) return initial_[i] + b * width_;
    return seqstate::SEQSTATE_BUILD::at(run_.states[i], b, s - 1);
  }

  static V read(const Sequences<const float>& from, int64_t b, int64_t s, int64_t first,
                int64_t count) {
    if (from.data == nullptr) return V(0.0f);
    const float* row = seqstate::SEQSTATE_BUILD::at(from, b, s);
    if (from.unit == 1) return V::load(row + first, count);
    float lanes[L] = {};
    for (int64_t i = 0; i < least(count, L); ++i) lanes[i] = row[(first + i) * from.unit];
    return V::load(lanes);
  }

  static V read(const Sequences<float>& from, int64_t b, int64_t s, int64_t first,
                int64_t count) {
    return V::load(seqstate::SEQSTATE_BUILD::at(from, b, s) + first, count);
  }

  // The slopes of step i of a chunk, for some of its rows and some vectors of units.
  void slopes(const ChunkArrays<Layout>& chunk, const Chunk& at, int64_t i, int64_t begin,
              int64_t end, int64_t first_vector, int64_t end_vector) {
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
            int64_t first_vector, int64_t end_vector) {
    for (int state = 0; state < kStates; ++state) {
      const float* more = row(d_states_[state], b, s);
      for (int64_t v = first_vector; v < end_vector; ++v) {
        float* d = d_state_[state] + b * width_ + v * L;
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

  // The rows of one step that its slopes are made of. The rows of the step before it are read
  // next, but far away, so that the processor does not see it coming: they are asked for here.
  struct Given {
    static constexpr int kMost = 2 * kKept + kStates + 4;
    const float* rows[kMost];
    int64_t next[kMost];
    int count = 0;

    template <class T>
    int add(const Sequences<T>& array, int64_t b, int64_t s) {
      return add(row(array, b, s), s > 0 ? -array.step : 0);
    }
    int add(const float* data, int64_t to_next) {
      rows[count] = data;
      next[count] = to_next;
      return count++;
    }
    void ask(int64_t first) const {
      for (int i = 0; i < count; ++i) __builtin_prefetch(rows[i] + next[i] + first);
    }
  };

  template <class Act>
  void slopes(const Act& act, const ChunkArrays<Layout>& chunk, int64_t k, int64_t b, int64_t s,
              int64_t first_vector, int64_t end_vector) {
    if (has_d_gates_) slopes<true>(act, chunk, k, b, s, first_vector, end_vector);
    else slopes<false>(act, chunk, k, b, s, first_vector, end_vector);
  }

  template <bool gates, class Act>
  void slopes(const Act& act, const ChunkArrays<Layout>& chunk, int64_t k, int64_t b, int64_t s,
              int64_t first_vector, int64_t end_vector) {
    Given given;
    const float* more_h = given.rows[given.add(d_states_[0], b, s)];
    const float* after = given.rows[given.add(run_.states[kLstm ? 1 : 0], b, s)];
    const float* more_c = kLstm ? row(d_states_[kLstm ? 1 : 0], b, s) : nullptr;
    const float* h = before(0, b, s);
    const float* c = kLstm ? before(1, b, s) : nullptr;
    const float* kept[kMaxKept] = {};
    const float* d_gates[kMaxKept] = {};
    for (int i = 0; i < kKept; ++i) kept[i] = given.rows[given.add(run_.kept[i], b, s)];
    for (int i = 0; gates && i < kGates; ++i) d_gates[i] = row(d_gates_[i], b, s);
    float* dh = d_state_[0] + b * width_;
    float* dc = kLstm ? d_state_[1] + b * width_ : nullptr;

    const auto vector = [&](int64_t v, auto load) {
      const int64_t first = v * L;
      given.ask(first);
      Slope slope;
      slope.dh = V::load(dh + first) + load(more_h + first);
      slope.h_before = load(h + first);
      SEQSTATE_UNROLL
      for (int i = 0; i < kKept; ++i) slope.kept[i] = load(kept[i] + first);
      SEQSTATE_UNROLL
      for (int i = 0; i < kGates; ++i) {
        slope.d_gates[i] = gates ? load(d_gates[i] + first) : V(0.0f);
      }
      if constexpr (kLstm) {
        slope.dc = V::load(dc + first) + load(more_c + first);
        slope.c_before = load(c + first);
        slope.c_after = load(after + first);
        lstm_slope(act, slope);
        slope.dc.store(dc + first);
      } else if constexpr (kAfter) {
        gru_after_slope(act, slope);
      } else if constexpr (kBefore) {
        gru_slope(act, slope);
        slope.dz[1] = V(0.0f);
      } else {
        simple_slope(act, load(after + first), slope);
      }
      slope.dh.store(dh + first);
      SEQSTATE_UNROLL
      for (int n = 0; n < (kSimple ? 1 : S); ++n) slope.dz[n].store(chunk.of(k, v, n));
    };
    const int64_t whole = least(end_vector, units_ / L);
    for (int64_t v = first_vector; v < whole; ++v) {
      vector(v, [](const float* p) { return V::load(p); });
    }
    for (int64_t v = most(first_vector, whole); v < end_vector; ++v) {
      const int64_t count = units_ - v * L;
      vector(v, [count](const float* p) { return V::load(p, count); });
    }
  }

  // A panel of unit vectors may have more of them than there are units.
  void clear_rest(const ChunkArrays<Layout>& chunk, int64_t k) const {
    const int64_t all = panels_of<Layout>(run_.cell) * Layout::unit_vectors;
    for (int64_t v = vectors_; v < all; ++v) V(0.0f).store(chunk.of(k, v, 0));
  }

  // GruBefore: the reset gate, once the cotangent of r * h is known.
  void reset_slopes(const ChunkArrays<Layout>& chunk, const Chunk& at, int64_t i, int64_t begin,
                    int64_t end) {
    for (int64_t m = begin; m < end; ++m) {
      const int64_t k = i * at.rows + m, b = at.row + m, s = at.last - 1 - i;
      if (skips(run_, b, s)) continue;
      if (usual_) reset_slopes(Usual(run_.cell), chunk, k, b, s);
      else reset_slopes(Chosen(run_.cell), chunk, k, b, s);
    }
  }

  template <class Act>
  void reset_slopes(const Act& act, const ChunkArrays<Layout>& chunk, int64_t k, int64_t b,
                    int64_t s) {
    const float* h = before(0, b, s);
    const float* r = row(run_.kept[1], b, s);
    const float* d_gate = row(d_gates_[1], b, s);
    for (int64_t v = 0; v < vectors_; ++v) {
      const int64_t first = v * L, count = units_ - first, place = b * width_ + first;
      Slope slope;
      slope.dh = V::load(d_state_[0] + place);
      slope.h_before = V::load(h + first, count);
      slope.kept[1] = V::load(r + first, count);
      slope.d_gates[1] = V::load(d_gate + first, count);
      gru_reset_slope(act, V::load(d_reset_h_ + place), slope);
      slope.dh.store(d_state_[0] + place);
      slope.dz[1].store(chunk.of(k, v, 1));
    }
  }

  // d_state += dz times the transposed recurrent kernel, for the units of some column panels.
  void through_state(const ChunkArrays<Layout>& chunk, const Chunk& at, int64_t i, int64_t begin,
                     int64_t end, int64_t first_panel, int64_t end_panel) const {
    Product p = product<typename Layout::H, kHBlocks>(chunk, at, state_, i * at.rows + begin,
                                                      end - begin);
    p.dropout = run_.recurrent_dropout;
    p.to = d_state_[0] + at.row * width_;
    p.how = Product::kAdd;
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

  // The cotangents of the input for entries begin ... end of a chunk.
  void input_gradient(const ChunkArrays<Layout>& chunk, const Chunk& at, int64_t begin,
                      int64_t end) const {
    const Sequences<float>& d_x = wanted_.d_x;
    Product p = product<typename Layout::X, kXBlocks>(chunk, at, input_, begin, end - begin);
    p.dropout = run_.input_dropout;
    p.to = d_x.data + at.row * d_x.row + time_of(run_, at.last - 1) * d_x.step;
    p.to_row = d_x.row;
    p.to_step = run_.go_backwards ? d_x.step : -d_x.step;
    p.room = run_.cell.features;
    multiply(p, 0, input_.columns.panels);
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

  // Rows that started anew before step s: what went to the state before goes to the fresh one.
  void start_anew(int64_t s, int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; ++b) {
      if (!starts_anew(run_, b, s)) continue;
      for (int i = 0; i < kStates; ++i) {
        float* from = d_state_[i] + b * width_;
        for (int64_t u = 0; u < units_; ++u) {
          if (d_fresh_[i] != nullptr) d_fresh_[i][b * width_ + u] += from[u];
          from[u] = 0.0f;
        }
      }
    }
  }

  void finish() const {
    for (int i = 0; i < kStates; ++i) {
      for (int64_t b = 0; b < run_.batch; ++b) {
        const Vectors<float>& initial = wanted_.d_initial[i];
        const Vectors<float>& fresh = wanted_.d_fresh[i];
        if (initial.data != nullptr) {
          copy_row(initial.data + b * initial.row, d_state_[i] + b * width_, 1, units_);
        }
        if (fresh.data != nullptr) {
          copy_row(fresh.data + b * fresh.row, d_fresh_[i] + b * width_, 1, units_);
        }
      }
    }
  }

  const Gradient& wanted_;
  const Run& run_;
  const int64_t units_, vectors_, width_;
  const bool usual_;
  Sequences<const float> d_states_[kMaxStates];
  Sequences<const float> d_gates_[kMaxKept];
  bool has_d_gates_ = false;
  float* d_state_[kMaxStates] = {};
  float* initial_[kMaxStates] = {};
  float* fresh_[kMaxStates] = {};
  float* d_fresh_[kMaxStates] = {};
  float* d_reset_h_ = nullptr;
  float* rows_ = nullptr;
  Transposed state_{nullptr, 0, Columns(0)};
  Transposed candidate_{nullptr, 0, Columns(0)};
  Transposed input_{nullptr, 0, Columns(0)};
};

}  // namespace seqstate::SEQSTATE_BUILD
