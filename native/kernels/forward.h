// A run: the time loop over all rows of a batch.
#pragma once

#include <type_traits>

#include "cells.h"
#include "executor.h"
#include "packing.h"
#include "products.h"
#include "scratch.h"
#include "steps.h"
#include "team.h"

namespace seqstate::SEQSTATE_BUILD {

// Weights of one panel that are read for several rows should stay in the nearest cache.
constexpr int64_t kPanelFloats = (V::registers == 16 ? 20 : 40) * 1024 / 4;
// Work (products and sums) of one step below which a second thread costs more than it saves.
constexpr int64_t kSharedStep = 8192;
constexpr int64_t kSharedRun = 100000;
constexpr int64_t kRowsOfBlock = 32;
constexpr int64_t kSmallWeights = 512 * 1024 / 4;
// Steps whose input is multiplied ahead at a time, where threads share the steps.
constexpr int64_t kAhead = 256;

// What multiplies a part of the weights: rows `stride` apart, with `each` one number a block.
struct Operand {
  const float* data = nullptr;
  int64_t stride = 0;
  bool each = false;
};

template <class Layout>
class Forward {
 public:
  Forward(const Run& run, const Panels& packed)
      : run_(run),
        packed_(packed),
        keeps_(keeps(run)),
        equations_(equations_of<Layout>(run.cell, keeps_)),
        units_(run.cell.units),
        features_(run.cell.features),
        depth_(features_ + units_),
        width_(panels_of<Layout>(run.cell) * Layout::unit_vectors * L),
        panels_(panels_of<Layout>(run.cell)),
        blocks_(blocks_of(run.cell.kind)) {}

  void operator()(Executor& threads) {
    const int64_t step = 2 * run_.batch * blocks_ * depth_ * units_;
    const int64_t most = step * run_.time < kSharedRun ? 1 : threads.threads();
    if (most > 1 && run_.batch < 2 * most && shares_steps() && step >= kSharedStep) {
      together(threads, static_cast<int>(least(least(most, panels_), Team::kMost)));
    } else {
      apart(threads, blocks_of_rows(most));
    }
  }

 private:
  static constexpr bool kBefore = std::is_same_v<Layout, GruBeforeLayout>;
  static constexpr bool kLstm = std::is_same_v<Layout, LstmLayout>;
  static constexpr int S = Layout::sums;
  // One row alone takes several panels at a time, to have as many sums as a tile.
  static constexpr int kPanelsOfRow = tile_rows(S);

  // A block of rows and what it carries; `width_` floats a row.
  struct Rows {
    int64_t first, count;
    float* h[2];       // before and after a step, in turn
    float* c;
    float* x;          // the input of a step, where it can't be read in place
    float* dropped;    // the state after its dropout, where there is one
    float* partial;    // sums of a panel that is cut
    float* update;     // GruBefore: z, the candidate's sums, and r * h
    float* candidate;
    float* reset_h;
    const float* ahead = nullptr;  // sums with the input's share in them, [row][panel][S][L]
  };

  // Rows are taken through all steps in blocks: few enough that what a step reads and writes of
  // each row stays at hand, unless large weights should serve many rows.
  int64_t blocks_of_rows(int64_t threads) const {
    const bool small = panels_ * packed_.stride <= kSmallWeights;
    const int64_t blocks = small ? ceil_div(run_.batch, kRowsOfBlock) : 1;
    return least(run_.batch, ceil_div(blocks, threads) * threads);
  }

  static bool keeps(const Run& run) {
    for (const Sequences<float>& array : run.kept) {
      if (array.data != nullptr) return true;
    }
    return false;
  }

  // Rows to threads: no thread waits for another.
  void apart(Executor& threads, int64_t blocks) {
    Scratch scratch;
    Rows* rows = reinterpret_cast<Rows*>(scratch.bytes(blocks * sizeof(Rows)));
    for (int64_t b = 0, first = 0; b < blocks; ++b) {
      const int64_t count = run_.batch / blocks + (b < run_.batch % blocks ? 1 : 0);
      rows[b] = make(scratch, first, count);
      first += count;
    }
    const auto body = [&](int64_t b) {
      Rows& r = rows[b];
      begin(r);
      for (int64_t s = 0; s < run_.time; ++s) {
        prepare(r, s);
        compute(r, s, 0, panels_);
      }
      end(r);
    };
    if (threads.threads() == 1 || blocks == 1) {
      for (int64_t b = 0; b < blocks; ++b) body(b);
    } else {
      parallel(threads, blocks, body);
    }
  }

  // A state that needs work between two steps is left to one thread.
  bool shares_steps() const {
    return !kBefore && run_.reset_mask.data == nullptr && run_.recurrent_dropout.count == 0 &&
           run_.time > 1 && panels_ > 1;
  }

  // Units to threads, for few rows: each thread's share of the weights stays in its cache.
  void together(Executor& threads, int parts) {
    Scratch scratch;
    Rows r = make(scratch, 0, run_.batch);
    const int64_t row = panels_ * S * L;
    const int64_t steps = least(run_.time, kAhead);
    float* ahead = scratch.floats(steps * run_.batch * row);
    const int64_t width = features_ * operands(run_.input_dropout);
    const bool copies = !reads_in_place(run_);
    float* inputs = copies ? scratch.floats(steps * run_.batch * width) : nullptr;
    // Sums of a panel that is cut: each part has its own.
    float* partials = scratch.floats(parts * run_.batch * S * L);
    begin(r);
    for (int64_t from = 0; from < run_.time; from += steps) {
      const int64_t count = least(steps, run_.time - from);
      if (copies) {
        for (int64_t i = 0; i < count * run_.batch; ++i) {
          copy_input(inputs + i * width, run_, i % run_.batch, from + i / run_.batch);
        }
      }
      const auto multiply = [&](int64_t part) {
        multiply_ahead(ahead, inputs, from, count, part * panels_ / parts,
                       (part + 1) * panels_ / parts);
      };
      parallel(threads, parts, multiply);
      Team team(parts, count);
      const auto body = [&](int64_t member) {
        team.work(static_cast<int>(member), [&](int64_t s, int part) {
          Rows mine = r;
          mine.ahead = ahead + s * run_.batch * row;
          mine.partial = partials + part * run_.batch * S * L;
          compute(mine, from + s, part * panels_ / parts, (part + 1) * panels_ / parts);
        });
      };
      parallel(threads, parts, body);
    }
    end(r);
  }

  void multiply_ahead(float* ahead, const float* inputs, int64_t from, int64_t count,
                      int64_t first_panel, int64_t end_panel) {
    const int64_t row = panels_ * S * L, batch = run_.batch;
    for (int64_t p = first_panel; p < end_panel; ++p) {
      const auto tile = [&](auto m, const Operand& x, float* out, int64_t apart) {
        constexpr int M = m();
        Sums<M, S> sums = from_bias<M>(p);
        multiply_input<M>(sums, x, packed_.panel(p), 0, features_);
        store(sums, out, apart);
      };
      if (inputs != nullptr) {
        const bool each = run_.input_dropout.count > 1;
        const int64_t width = features_ * operands(run_.input_dropout);
        in_tiles<tile_rows(S)>(count * batch, [&](auto m, int64_t i) {
          tile(m, {inputs + i * width, width, each}, ahead + i * row + p * S * L, row);
        });
        continue;
      }
      const int64_t step = run_.go_backwards ? -run_.x.step : run_.x.step;
      for (int64_t b = 0; b < batch; ++b) {
        in_tiles<tile_rows(S)>(count, [&](auto m, int64_t s) {
          const float* x = at(run_.x, b, time_of(run_, from + s));
          tile(m, {x, step, false}, ahead + (s * batch + b) * row + p * S * L, batch * row);
        });
      }
    }
  }

  Rows make(Scratch& scratch, int64_t first, int64_t count) const {
    Rows r{};
    r.first = first;
    r.count = count;
    for (float*& h : r.h) h = scratch.floats(count * width_);
    r.c = kLstm ? scratch.floats(count * width_) : nullptr;
    r.x = reads_in_place(run_)
              ? nullptr
              : scratch.floats(count * features_ * operands(run_.input_dropout));
    r.dropped = run_.recurrent_dropout.count == 0
                    ? nullptr
                    : scratch.floats(count * units_ * operands(run_.recurrent_dropout));
    r.partial = scratch.floats(count * S * L);
    if constexpr (kBefore) {
      r.update = scratch.floats(count * width_);
      r.candidate = scratch.floats(count * width_);
      r.reset_h = scratch.floats(count * width_);
    }
    return r;
  }

  float* carried(const Rows& r, int state, int64_t step) const {
    return state == 1 ? r.c : r.h[step & 1];
  }

  void begin(const Rows& r) const {
    for (int i = 0; i < states_of(run_.cell.kind); ++i) {
      for (int64_t m = 0; m < r.count; ++m) {
        float* to = carried(r, i, 0) + m * width_;
        copy_row(to, at(run_.initial[i], r.first + m), run_.initial[i].unit, units_);
        copy_row(to + units_, nullptr, 1, width_ - units_);
      }
    }
  }

  void end(const Rows& r) const {
    for (int i = 0; i < states_of(run_.cell.kind); ++i) {
      if (run_.last[i].data == nullptr) continue;
      for (int64_t m = 0; m < r.count; ++m) {
        copy_row(at(run_.last[i], r.first + m), carried(r, i, run_.time) + m * width_, 1, units_);
      }
    }
  }

  // What a step needs before its products.
  void prepare(const Rows& r, int64_t s) const {
    for (int64_t m = 0; m < r.count; ++m) {
      const int64_t row = r.first + m;
      if (starts_anew(run_, row, s)) {
        for (int i = 0; i < states_of(run_.cell.kind); ++i) {
          copy_row(carried(r, i, s) + m * width_, at(run_.fresh[i], row), run_.fresh[i].unit,
                   units_);
        }
      }
      if (r.x != nullptr) {
        copy_input(r.x + m * features_ * operands(run_.input_dropout), run_, row, s);
      }
      if (r.dropped != nullptr) {
        drop(r.dropped + m * units_ * operands(run_.recurrent_dropout),
             r.h[s & 1] + m * width_, 1, run_.recurrent_dropout, row, run_.batch, units_);
      }
    }
  }

  Operand input(const Rows& r, int64_t s) const {
    if (r.x == nullptr) return {at(run_.x, r.first, time_of(run_, s)), run_.x.row, false};
    const int64_t each = operands(run_.input_dropout);
    return {r.x, features_ * each, each > 1};
  }

  Operand state(const Rows& r, int64_t s) const {
    if (r.dropped == nullptr) return {r.h[s & 1], width_, false};
    const int64_t each = operands(run_.recurrent_dropout);
    return {r.dropped, units_ * each, each > 1};
  }

  void compute(const Rows& r, int64_t s, int64_t first_panel, int64_t end_panel) const {
    const Operand x = r.ahead == nullptr ? input(r, s) : Operand{};
    const Operand h = state(r, s);
    if (r.count == 1 && !x.each && !h.each) {
      in_tiles<kPanelsOfRow>(end_panel - first_panel, [&](auto count, int64_t i) {
        row<count()>(r, s, x, h, first_panel + i);
      });
    } else {
      for (int64_t p = first_panel; p < end_panel; ++p) panel(r, s, x, h, p);
    }
    if constexpr (kBefore) candidates(r, s);
  }

  void panel(const Rows& r, int64_t s, const Operand& x, const Operand& h, int64_t p) const {
    const int64_t pieces =
        r.count <= tile_rows(S) ? 1 : ceil_div(packed_.stride, kPanelFloats);
    for (int64_t piece = 0; piece < pieces; ++piece) {
      const int64_t from = most(piece * depth_ / pieces, r.ahead == nullptr ? 0 : features_);
      const int64_t to = (piece + 1) * depth_ / pieces;
      in_tiles<tile_rows(S)>(r.count, [&](auto m, int64_t first) {
        tile<m()>(r, s, x, h, p, first, from, to, piece == 0);
      });
    }
  }

  template <int M>
  void tile(const Rows& r, int64_t s, const Operand& x, const Operand& h, int64_t p,
            int64_t first, int64_t from, int64_t to, bool starts) const {
    float* partial = r.partial + first * S * L;
    Sums<M, S> sums =
        !starts ? loaded<M, S>(partial, S * L)
        : r.ahead != nullptr
            ? loaded<M, S>(r.ahead + (first * panels_ + p) * S * L, panels_ * S * L)
            : from_bias<M>(p);
    if (from < features_) {
      multiply_input<M>(sums, {x.data + first * x.stride, x.stride, x.each}, packed_.panel(p),
                        from, least(to, features_));
    }
    if (to > features_) {
      const int64_t begin = most(from - features_, 0), end = to - features_;
      using H = typename Layout::H;
      const float* b = packed_.panel(p) +
                       (features_ * Layout::X::count + begin * H::count) * L;
      const float* a = h.data + first * h.stride;
      if (h.each) {
        accumulate_each<H>(sums, a + begin * blocks_, h.stride, end - begin, b, blocks_);
      } else {
        accumulate<H>(sums, a + begin, h.stride, end - begin, b);
      }
    }
    if (to < depth_) return store(sums, partial, S * L);
    V result[M][S];
    sums.each([&](int m, int n, V sum) { result[m][n] = sum; });
    finish(r, s, p, first, M, result[0]);
  }

  // One row, P panels.
  template <int P>
  void row(const Rows& r, int64_t s, const Operand& x, const Operand& h, int64_t p) const {
    Sums<P, S> sums =
        loaded<P, S>((r.ahead != nullptr ? r.ahead : packed_.bias) + p * S * L, S * L);
    if (r.ahead == nullptr) {
      accumulate_row<typename Layout::X>(sums, x.data, features_, packed_.panel(p),
                                         packed_.stride);
    }
    accumulate_row<typename Layout::H>(sums, h.data, units_,
                                       packed_.panel(p) + features_ * Layout::X::count * L,
                                       packed_.stride);
    V result[P][S];
    sums.each([&](int i, int n, V sum) { result[i][n] = sum; });
    for (int i = 0; i < P; ++i) finish(r, s, p + i, 0, 1, result[i]);
  }

  template <int M>
  [[gnu::always_inline]] void multiply_input(Sums<M, S>& sums, const Operand& x,
                                             const float* panel, int64_t from, int64_t to) const {
    using X = typename Layout::X;
    const float* b = panel + from * X::count * L;
    if (x.each) {
      accumulate_each<X>(sums, x.data + from * blocks_, x.stride, to - from, b, blocks_);
    } else {
      accumulate<X>(sums, x.data + from, x.stride, to - from, b);
    }
  }

  template <int M>
  [[gnu::always_inline]] Sums<M, S> from_bias(int64_t p) const {
    return Sums<M, S>([&](int, int n) { return V::load(packed_.bias + (p * S + n) * L); });
  }

  Units units(const Rows& r, int64_t s, int64_t m, int64_t first) const {
    Units u{};
    const int64_t row = r.first + m, place = m * width_ + first;
    u.before = r.h[s & 1] + place;
    u.after = r.h[(s + 1) & 1] + place;
    u.c = kLstm ? r.c + place : nullptr;
    u.width = width_;
    u.count = units_ - first;
    for (int i = 0; i < (kLstm ? 2 : 1); ++i) {
      if (run_.states[i].data == nullptr) continue;
      u.states[i] = at(run_.states[i], row, s) + first;
      u.states_row[i] = run_.states[i].row;
    }
    if (!keeps_) return u;
    for (int i = 0; i < kMaxKept; ++i) {
      if (run_.kept[i].data == nullptr) continue;
      u.kept[i] = at(run_.kept[i], row, s) + first;
      u.kept_row[i] = run_.kept[i].row;
    }
    return u;
  }

  // Rows m ... m + count - 1 of a panel, from their sums.
  void finish(const Rows& r, int64_t s, int64_t p, int64_t m, int count, const V* sums) const {
    if constexpr (kBefore) return finish_gates(r, s, p, m, count, sums);
    for (int v = 0; v < Layout::unit_vectors; ++v) {
      const int64_t first = unit_of<Layout>(p, v);
      if (first >= units_) break;
      const Units u = units(r, s, m, first);
      if (run_.mask.data == nullptr) {
        equations_(run_.cell, sums + v, S, count, u);
        continue;
      }
      for (int i = 0; i < count; ++i) {
        if (skips(run_, r.first + m + i, s)) skip<Layout>(u.from(i));
        else equations_(run_.cell, sums + i * S + v, S, 1, u.from(i));
      }
    }
  }

  // GruBefore: the two gates, and what the candidate's product needs.
  void finish_gates(const Rows& r, int64_t s, int64_t p, int64_t first_row, int count,
                    const V* sums) const {
    const int64_t first = p * L;
    for (int64_t m = first_row; m < first_row + count; ++m, sums += S) {
      const int64_t row = r.first + m, place = m * width_ + first;
      Units u = units(r, s, m, first);
      if (skips(run_, row, s)) u.kept[0] = u.kept[1] = nullptr;
      u.c = r.update + place;
      u.after = r.reset_h + place;
      equations_(run_.cell, sums, S, 1, u);
      sums[2].store(r.candidate + place);
      V h = u.h_before(0);
      const Dropout& dropout = run_.recurrent_dropout;
      if (dropout.count > 0) {
        const float* mask = mask_of(dropout, dropout.count - 1, row, run_.batch, units_);
        h = h * V::load(mask + first, units_ - first);
      }
      (V::load(u.after) * h).store(u.after);
    }
  }

  // GruBefore: the candidate's product with r * h, once all reset gates are known.
  void candidates(const Rows& r, int64_t s) const {
    const Columns columns(units_);
    Product p{};
    p.a = r.reset_h;
    p.row = width_;
    p.panel = L;
    p.many = 1;
    p.depth = units_;
    p.rows = p.rows_of_step = p.batch = r.count;
    p.blocks = 1;
    p.b = packed_.candidate;
    p.columns = columns;
    p.to = r.candidate;
    p.to_row = p.room = width_;
    p.how = Product::kContinue;
    multiply(p, 0, columns.panels);
    for (int64_t m = 0; m < r.count; ++m) {
      for (int64_t first = 0; first < units_; first += L) {
        finish_candidate(r, s, m, first, V::load(r.candidate + m * width_ + first));
      }
    }
  }

  void finish_candidate(const Rows& r, int64_t s, int64_t m, int64_t first, V sum) const {
    Units u = units(r, s, m, first);
    if (skips(run_, r.first + m, s)) return skip<Layout>(u);
    u.c = r.update + m * width_ + first;
    const Equations candidate = is_usual(run_.cell) ? gru_candidate<Usual> : gru_candidate<Chosen>;
    candidate(run_.cell, &sum, 1, 1, u);
  }

  const Run& run_;
  const Panels packed_;
  const bool keeps_;
  const Equations equations_;
  const int64_t units_, features_, depth_, width_, panels_;
  const int blocks_;
};

}  // namespace seqstate::SEQSTATE_BUILD
