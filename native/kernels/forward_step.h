// One step of a run, for some rows and some panels: the products, then the equations.
#pragma once

#include <type_traits>

#include "cells.h"
#include "packing.h"
#include "products.h"
#include "scratch.h"
#include "steps.h"

namespace seqstate::SEQSTATE_BUILD {

// Weights of one panel that are read for several rows should stay in the nearest cache.
constexpr int64_t kPanelFloats = (V::registers == 16 ? 20 : 40) * 1024 / 4;

// Panels from which on the input of a step is copied, though it could be read in place: each panel
// reads it again, and a caller's rows often lie a power of two apart, where a cache holds few.
constexpr int64_t kPanelsOfCopy = 8;

// What multiplies a part of the weights: rows `stride` apart; with `each` a row has its numbers for
// each block, block after block.
struct Operand {
  const float* data = nullptr;
  int64_t stride = 0;
  bool each = false;
};

// A block of rows and what it carries; `width` floats a row, room for whole panels.
struct Rows {
  int64_t first, count;
  float* h[2];       // before and after a step, in turn
  float* c;
  float* x;          // the input of a step, where it can't be read in place
  float* dropped;    // the state after its dropout, where there is one
  float* sums;       // [row][S][L] of a panel; of one row alone: [panel][S][L]
  float* update;     // GruBefore: z, the candidate's sums, and r * h
  float* candidate;
  float* reset_h;
  const float* ahead = nullptr;  // sums with the input's share in them, [row][panel][S][L]
};

template <class Layout>
class ForwardStep {
 public:
  ForwardStep(const Run& run, const Panels& packed)
      : panels(panels_of<Layout>(run.cell)),
        width(apart(panels * Layout::unit_vectors * L)),
        inputs(apart(run.cell.features * operands(run.input_dropout))),
        copies(!reads_in_place(run) || panels >= kPanelsOfCopy),
        run_(run),
        packed_(packed),
        keeps_(keeps(run)),
        equations_(equations_of<Layout>(run.cell, keeps_)),
        units_(run.cell.units),
        features_(run.cell.features),
        depth_(features_ + units_) {}

  const int64_t panels;
  // Floats from row to row of what is carried, and of copied inputs.
  const int64_t width, inputs;
  // Whether the input is copied: where it can't be read in place, or is read often.
  const bool copies;

  // Floats of Rows::sums.
  int64_t sums_of(int64_t rows) const { return (rows == 1 ? panels : rows) * S * L; }

  float* carried(const Rows& r, int state, int64_t step) const {
    return state == 1 ? r.c : r.h[step & 1];
  }

  // What a step needs before its products.
  void prepare(const Rows& r, int64_t s) const {
    for (int64_t m = 0; m < r.count; ++m) {
      const int64_t row = r.first + m;
      if (starts_anew(run_, row, s)) {
        for (int i = 0; i < states_of(run_.cell.kind); ++i) {
          copy_row(carried(r, i, s) + m * width, at(run_.fresh[i], row), run_.fresh[i].unit,
                   units_);
        }
      }
      if (r.x != nullptr) {
        copy_input(r.x + m * inputs, run_, row, s, Many::by_block);
      }
      if (r.dropped != nullptr) {
        drop(r.dropped + m * units_ * operands(run_.recurrent_dropout),
             r.h[s & 1] + m * width, 1, run_.recurrent_dropout, row, run_.batch, units_,
             Many::by_block);
      }
    }
  }

  void compute(const Rows& r, int64_t s, int64_t first_panel, int64_t end_panel) const {
    const Operand x = r.ahead == nullptr ? input(r, s) : Operand{};
    const Operand h = state(r, s);
    // Every second step goes back through the panels: it begins with those that are still in the
    // caches.
    const bool back = s % 2 != 0;
    const int64_t count = end_panel - first_panel;
    if (r.count == 1) {
      in_tiles<kPanelsOfRow>(count, [&](auto some, int64_t i) {
        row<some()>(r, x, h, back ? end_panel - i - some() : first_panel + i);
      });
      finish_row(r, s, first_panel, end_panel);
    } else {
      for (int64_t i = 0; i < count; ++i) {
        const int64_t p = back ? end_panel - 1 - i : first_panel + i;
        const bool more = i + 1 < count && are_far(panels * packed_.stride);
        panel(r, s, x, h, p, more ? packed_.panel(back ? p - 1 : p + 1) : nullptr);
      }
    }
    if constexpr (kBefore) candidates(r, s);
  }

  // The input's share of a panel's sums, for M rows of x.
  template <int M>
  void multiply_ahead(const Operand& x, int64_t p, float* out, int64_t stride) const {
    Sums<M, S> sums = from_bias<M>(p);
    Later nothing;
    multiply_input<M>(sums, x, packed_.panel(p), 0, features_, nothing);
    store(sums, out, stride);
  }

 private:
  static constexpr bool kBefore = std::is_same_v<Layout, GruBeforeLayout>;
  static constexpr bool kLstm = std::is_same_v<Layout, LstmLayout>;
  static constexpr int S = Layout::sums;
  // Sums of one vector of units.
  static constexpr int kSumsOfUnits = S / Layout::unit_vectors;
  // One row alone takes several panels at a time, to have enough sums, and few at a time where they
  // are large: the last ones are still in the nearest cache when the next step begins with them.
  static constexpr int kPanelsOfRow = L == 16 ? 12 / S : tile_rows(S);

  // A cache holds only a few lines that lie a power of two apart.
  static int64_t apart(int64_t floats) {
    constexpr int64_t kLine = 16;
    const int64_t lines = ceil_div(floats, kLine);
    return (lines % 8 == 0 ? lines + 1 : lines) * kLine;
  }

  static bool keeps(const Run& run) {
    for (const Sequences<float>& array : run.kept) {
      if (array.data != nullptr) return true;
    }
    return false;
  }

  Operand input(const Rows& r, int64_t s) const {
    if (r.x == nullptr) return {at(run_.x, r.first, time_of(run_, s)), run_.x.row, false};
    return {r.x, inputs, operands(run_.input_dropout) > 1};
  }

  Operand state(const Rows& r, int64_t s) const {
    if (r.dropped == nullptr) return {r.h[s & 1], width, false};
    const int64_t each = operands(run_.recurrent_dropout);
    return {r.dropped, units_ * each, each > 1};
  }

  // Panel p; `next` are the weights of the one after it, if they are to be asked for.
  void panel(const Rows& r, int64_t s, const Operand& x, const Operand& h, int64_t p,
             const float* next) const {
    const int64_t pieces =
        r.count <= tile_rows(S) ? 1 : ceil_div(packed_.stride, kPanelFloats);
    const Later later{next, next == nullptr ? 0 : packed_.stride / Later::kLine};
    const int64_t shares = pieces * ceil_div(r.count, tile_rows(S));
    int64_t taken = 0;
    for (int64_t piece = 0; piece < pieces; ++piece) {
      const int64_t from = most(piece * depth_ / pieces, r.ahead == nullptr ? 0 : features_);
      const int64_t to = (piece + 1) * depth_ / pieces;
      in_tiles<tile_rows(S)>(r.count, [&](auto m, int64_t first) {
        tile<m()>(r, x, h, p, first, from, to, piece == 0, later.share(taken++, shares));
      });
    }
    finish_panel(r, s, p);
  }

  template <int M>
  void tile(const Rows& r, const Operand& x, const Operand& h, int64_t p, int64_t first,
            int64_t from, int64_t to, bool starts, Later later) const {
    float* out = r.sums + first * S * L;
    Sums<M, S> sums =
        !starts ? loaded<M, S>(out, S * L)
        : r.ahead != nullptr
            ? loaded<M, S>(r.ahead + (first * panels + p) * S * L, panels * S * L)
            : from_bias<M>(p);
    if (from < features_) {
      multiply_input<M>(sums, {x.data + first * x.stride, x.stride, x.each}, packed_.panel(p),
                        from, least(to, features_), later);
    }
    if (to > features_) {
      const int64_t begin = most(from - features_, 0), end = to - features_;
      using H = typename Layout::H;
      const float* b = packed_.panel(p) +
                       (features_ * Layout::X::count + begin * H::count) * L;
      const float* a = h.data + first * h.stride;
      if (h.each) {
        accumulate_each<H>(sums, a + begin, h.stride, end - begin, b, units_);
      } else {
        accumulate<H>(sums, a + begin, h.stride, end - begin, b, later);
      }
    }
    store(sums, out, S * L);
  }

  // One row, P panels.
  template <int P>
  void row(const Rows& r, const Operand& x, const Operand& h, int64_t p) const {
    Sums<P, S> sums =
        loaded<P, S>((r.ahead != nullptr ? r.ahead : packed_.bias) + p * S * L, S * L);
    const float* panel = packed_.panel(p);
    if (r.ahead == nullptr) multiply_row<typename Layout::X>(sums, x, features_, panel);
    multiply_row<typename Layout::H>(sums, h, units_, panel + features_ * Layout::X::count * L);
    store(sums, r.sums + p * S * L, S * L);
  }

  template <class Part, int P>
  [[gnu::always_inline]] void multiply_row(Sums<P, S>& sums, const Operand& a, int64_t count,
                                           const float* panel) const {
    if (a.each) accumulate_row_each<Part>(sums, a.data, count, panel, packed_.stride, count);
    else accumulate_row<Part>(sums, a.data, count, panel, packed_.stride);
  }

  template <int M>
  [[gnu::always_inline]] void multiply_input(Sums<M, S>& sums, const Operand& x,
                                             const float* panel, int64_t from, int64_t to,
                                             Later& later) const {
    using X = typename Layout::X;
    const float* b = panel + from * X::count * L;
    if (x.each) {
      accumulate_each<X>(sums, x.data + from, x.stride, to - from, b, features_);
    } else {
      accumulate<X>(sums, x.data + from, x.stride, to - from, b, later);
    }
  }

  template <int M>
  [[gnu::always_inline]] Sums<M, S> from_bias(int64_t p) const {
    return Sums<M, S>([&](int, int n) { return V::load(packed_.bias + (p * S + n) * L); });
  }

  // Row m from unit `first` on: the items of what follows are rows.
  Units units(const Rows& r, int64_t s, int64_t m, int64_t first) const {
    Units u{};
    const int64_t row = r.first + m, place = m * width + first;
    u.before = r.h[s & 1] + place;
    u.after = r.h[(s + 1) & 1] + place;
    u.c = kLstm ? r.c + place : nullptr;
    u.apart = width;
    u.count = units_ - first;
    for (int i = 0; i < (kLstm ? 2 : 1); ++i) {
      if (run_.states[i].data == nullptr) continue;
      u.states[i] = at(run_.states[i], row, s) + first;
      u.states_apart[i] = run_.states[i].row;
    }
    if (!keeps_) return u;
    for (int i = 0; i < kMaxKept; ++i) {
      if (run_.kept[i].data == nullptr) continue;
      u.kept[i] = at(run_.kept[i], row, s) + first;
      u.kept_apart[i] = run_.kept[i].row;
    }
    return u;
  }

  // All rows of a panel, from their sums.
  void finish_panel(const Rows& r, int64_t s, int64_t p) const {
    if constexpr (kBefore) return finish_gates(r, s, p, r.sums);
    for (int v = 0; v < Layout::unit_vectors; ++v) {
      const int64_t first = unit_of<Layout>(p, v);
      if (first >= units_) break;
      const float* sums = r.sums + v * L;
      for (int64_t m = 0, end; m < r.count; m = end) {
        const bool skipped = skips(run_, r.first + m, s);
        for (end = m + 1; end < r.count && skips(run_, r.first + end, s) == skipped;) ++end;
        const Units u = units(r, s, m, first);
        if (skipped) skip<Layout>(end - m, u);
        else equations_(run_.cell, sums + m * S * L, S * L, end - m, u);
      }
    }
  }

  // The panels of one row, from their sums. Whole vectors of units are done at once.
  void finish_row(const Rows& r, int64_t s, int64_t first_panel, int64_t end_panel) const {
    if constexpr (kBefore) {
      for (int64_t p = first_panel; p < end_panel; ++p) finish_gates(r, s, p, r.sums + p * S * L);
      return;
    }
    const int64_t first = first_panel * Layout::unit_vectors;
    const int64_t end = least(end_panel * Layout::unit_vectors, ceil_div(units_, L));
    const int64_t whole = most(first, least(end, units_ / L));
    finish_vectors(r, s, first, whole);
    if (whole < end) finish_vectors(r, s, whole, end);
  }

  void finish_vectors(const Rows& r, int64_t s, int64_t first, int64_t end) const {
    if (first == end) return;
    Units u = units(r, s, 0, first * L);
    u.apart = L;
    for (int64_t& apart : u.states_apart) apart = L;
    for (int64_t& apart : u.kept_apart) apart = L;
    constexpr int64_t stride = kSumsOfUnits * L;
    if (skips(run_, r.first, s)) skip<Layout>(end - first, u);
    else equations_(run_.cell, r.sums + first * stride, stride, end - first, u);
  }

  // GruBefore: the two gates, and what the candidate's product needs.
  void finish_gates(const Rows& r, int64_t s, int64_t p, const float* sums) const {
    const int64_t first = p * L;
    for (int64_t m = 0; m < r.count; ++m, sums += S * L) {
      const int64_t row = r.first + m, place = m * width + first;
      Units u = units(r, s, m, first);
      if (skips(run_, row, s)) u.kept[0] = u.kept[1] = nullptr;
      u.c = r.update + place;
      u.after = r.reset_h + place;
      equations_(run_.cell, sums, S * L, 1, u);
      V::load(sums + 2 * L).store(r.candidate + place);
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
    p.row = width;
    p.panel = L;
    p.many = 1;
    p.depth = units_;
    p.rows = p.rows_of_step = p.batch = r.count;
    p.blocks = 1;
    p.b = packed_.candidate;
    p.columns = columns;
    p.to = r.candidate;
    p.to_row = p.room = width;
    p.how = Product::kContinue;
    multiply(p, 0, columns.panels);
    for (int64_t m = 0; m < r.count; ++m) {
      for (int64_t first = 0; first < units_; first += L) {
        finish_candidate(r, s, m, first, r.candidate + m * width + first);
      }
    }
  }

  void finish_candidate(const Rows& r, int64_t s, int64_t m, int64_t first,
                        const float* sum) const {
    Units u = units(r, s, m, first);
    if (skips(run_, r.first + m, s)) return skip<Layout>(1, u);
    u.c = r.update + m * width + first;
    const Equations candidate = is_usual(run_.cell) ? gru_candidate<Usual> : gru_candidate<Chosen>;
    candidate(run_.cell, sum, L, 1, u);
  }

  const Run& run_;
  const Panels packed_;
  const bool keeps_;
  const Equations equations_;
  const int64_t units_, features_, depth_;
};

}  // namespace seqstate::SEQSTATE_BUILD
