// The products: a few rows times a few vectors of packed weights, summed in registers.
#pragma once

#include <type_traits>

#include "layouts.h"
#include "vectors.h"

namespace seqstate::SEQSTATE_BUILD {

// The rows of a tile with so many sums a row: as many as the registers hold beside the operands.
constexpr int tile_rows(int sums) {
  constexpr int few[] = {0, 8, 6, 4, 3};
  constexpr int many[] = {0, 12, 12, 8, 6};
  return V::registers == 16 ? few[sums] : many[sums];
}

// The sums of a tile. All loops over them are written out and nobody takes their address, so
// that they stay in registers.
template <int M, int S>
struct Sums {
  V v[M][S];

  template <class From>
  [[gnu::always_inline]] explicit Sums(const From& from) {
    SEQSTATE_UNROLL
    for (int m = 0; m < M; ++m) {
      SEQSTATE_UNROLL
      for (int n = 0; n < S; ++n) v[m][n] = from(m, n);
    }
  }
  template <class To>
  [[gnu::always_inline]] void each(const To& to) const {
    SEQSTATE_UNROLL
    for (int m = 0; m < M; ++m) {
      SEQSTATE_UNROLL
      for (int n = 0; n < S; ++n) to(m, n, v[m][n]);
    }
  }
  [[gnu::always_inline]] void add(int m, int n, V a, V b) { v[m][n] = fma(a, b, v[m][n]); }
};

template <int M, int S>
[[gnu::always_inline]] inline Sums<M, S> zeros() {
  return Sums<M, S>([](int, int) { return V(0.0f); });
}

// S vectors a row, the rows `stride` apart.
template <int M, int S>
[[gnu::always_inline]] inline Sums<M, S> loaded(const float* from, int64_t stride) {
  return Sums<M, S>([&](int m, int n) { return V::load(from + m * stride + n * L); });
}

template <int M, int S>
[[gnu::always_inline]] inline void store(const Sums<M, S>& sums, float* to, int64_t stride) {
  sums.each([&](int m, int n, V sum) { sum.store(to + m * stride + n * L); });
}

// sums[m][To::to(n)] += a[m] * b[n] for one k: a(m) and b(n) give the operands.
template <class To, int M, int S, class A, class B>
[[gnu::always_inline]] inline void add_products(Sums<M, S>& sums, const A& a, const B& b) {
  constexpr int N = To::count;
  if constexpr (M <= N) {
    V x[M];
    SEQSTATE_UNROLL
    for (int m = 0; m < M; ++m) x[m] = a(m);
    SEQSTATE_UNROLL
    for (int n = 0; n < N; ++n) {
      const V w = held(b(n));
      SEQSTATE_UNROLL
      for (int m = 0; m < M; ++m) sums.add(m, To::to(n), x[m], w);
    }
  } else {
    V w[N];
    SEQSTATE_UNROLL
    for (int n = 0; n < N; ++n) w[n] = b(n);
    SEQSTATE_UNROLL
    for (int m = 0; m < M; ++m) {
      const V x = held(a(m));
      SEQSTATE_UNROLL
      for (int n = 0; n < N; ++n) sums.add(m, To::to(n), x, w[n]);
    }
  }
}

// sums[m][To::to(n)] += a[m][k] * b[k][n] for k = 0 ... count - 1, in that order; the rows of a
// lie `lda` apart.
template <class To, int M, int S>
[[gnu::always_inline]] inline void accumulate(Sums<M, S>& sums, const float* a, int64_t lda,
                                              int64_t count, const float* b) {
  for (int64_t k = 0; k < count; ++k, b += To::count * L) {
    add_products<To>(
        sums, [&](int m) { return V::broadcast(a + m * lda + k); },
        [&](int n) { return V::load(b + n * L); });
  }
}

// Weights that will be read later: lines of memory that are asked for meanwhile. Products with
// vectors of 16 floats are so fast that they would wait for weights that no near cache holds.
struct Later {
  static constexpr int64_t kLine = 16;  // floats
  static constexpr int64_t kAtOnce = 2;

  const float* data = nullptr;
  int64_t lines = 0;

  Later share(int64_t number, int64_t shares) const {
    const int64_t first = number * lines / shares;
    return {data + first * kLine, (number + 1) * lines / shares - first};
  }
  [[gnu::always_inline]] void ask() {
    SEQSTATE_UNROLL
    for (int i = 0; i < kAtOnce; ++i) __builtin_prefetch(data + i * kLine, 0, 2);
    data += kAtOnce * kLine;
    lines -= kAtOnce;
  }
};

// Whether so many floats of weights should be asked for.
constexpr bool are_far(int64_t floats) { return L == 16 && floats > 1024 * 1024 / 4; }

// The same, and asks for lines as long as there are any.
template <class To, int M, int S>
[[gnu::always_inline]] inline void accumulate(Sums<M, S>& sums, const float* a, int64_t lda,
                                              int64_t count, const float* b, Later& later) {
  const int64_t asked = least(count, ceil_div(later.lines, Later::kAtOnce));
  for (int64_t k = 0; k < asked; ++k, b += To::count * L) {
    later.ask();
    add_products<To>(
        sums, [&](int m) { return V::broadcast(a + m * lda + k); },
        [&](int n) { return V::load(b + n * L); });
  }
  accumulate<To>(sums, a + asked, lda, count - asked, b);
}

// The same with an operand of its own for each block, `apart` numbers from block to block.
template <class To, int M, int S>
[[gnu::always_inline]] inline void accumulate_each(Sums<M, S>& sums, const float* a, int64_t lda,
                                                   int64_t count, const float* b, int64_t apart) {
  for (int64_t k = 0; k < count; ++k, b += To::count * L) {
    SEQSTATE_UNROLL
    for (int n = 0; n < To::count; ++n) {
      const V w = held(V::load(b + n * L));
      SEQSTATE_UNROLL
      for (int m = 0; m < M; ++m) {
        sums.add(m, To::to(n), V::broadcast(a + m * lda + To::block(n) * apart + k), w);
      }
    }
  }
}

// One row times P panels that lie `stride` apart, so that there are enough sums to hide the
// latency of each.
template <class To, int P, int S>
[[gnu::always_inline]] inline void accumulate_row(Sums<P, S>& sums, const float* a, int64_t count,
                                                  const float* b, int64_t stride) {
  for (int64_t k = 0; k < count; ++k, b += To::count * L) {
    const V x = held(V::broadcast(a + k));
    SEQSTATE_UNROLL
    for (int p = 0; p < P; ++p) {
      SEQSTATE_UNROLL
      for (int n = 0; n < To::count; ++n) {
        sums.add(p, To::to(n), x, V::load(b + p * stride + n * L));
      }
    }
  }
}

template <class To, int P, int S>
[[gnu::always_inline]] inline void accumulate_row_each(Sums<P, S>& sums, const float* a,
                                                       int64_t count, const float* b,
                                                       int64_t stride, int64_t apart) {
  for (int64_t k = 0; k < count; ++k, b += To::count * L) {
    SEQSTATE_UNROLL
    for (int n = 0; n < To::count; ++n) {
      const V x = held(V::broadcast(a + To::block(n) * apart + k));
      SEQSTATE_UNROLL
      for (int p = 0; p < P; ++p) sums.add(p, To::to(n), x, V::load(b + p * stride + n * L));
    }
  }
}

template <int M>
using Size = std::integral_constant<int, M>;

// Call f(Size<m>, ...) for an m of 1 ... Max that is known only now.
template <int Max, class F>
[[gnu::always_inline]] inline void with_size(int64_t m, F&& f) {
  if constexpr (Max > 1) {
    if (m != Max) return with_size<Max - 1>(m, f);
  }
  f(Size<Max>{});
}

// Cut `count` into pieces of at most Max that differ by one at most: f(Size<m>, first).
template <int Max, class F>
[[gnu::always_inline]] inline void in_tiles(int64_t count, F&& f) {
  const int64_t tiles = ceil_div(count, Max);
  for (int64_t i = 0, first = 0; i < tiles; ++i) {
    const int64_t size = count / tiles + (i < count % tiles ? 1 : 0);
    with_size<Max>(size, [&](auto m) { f(m, first); });
    first += size;
  }
}

}  // namespace seqstate::SEQSTATE_BUILD
