// The one exponential, tanh and sigmoid of all kernels, and the other activations.
//
// NaN stays NaN; infinities give the limits. Errors against float64: sigmoid and tanh within
// 2e-7 of their value.
#pragma once

#include "api.h"
#include "vectors.h"

namespace seqstate::SEQSTATE_BUILD {

// Several numbers at a time, step by step side by side: one alone would wait for each step.

// e^x as scale * (1 + rest), for -87 <= x <= 89; from 88.4 on the scale is infinite. The rest
// keeps its precision near zero, where e^x - 1 would lose it.
template <int N>
struct Exponential {
  V scale[N], rest[N];
};

#define SEQSTATE_EACH SEQSTATE_UNROLL for (int i = 0; i < N; ++i)

template <int N>
[[gnu::always_inline]] inline Exponential<N> exponential(const V (&x)[N]) {
  Exponential<N> e;
  V n[N], r[N], q[N];
  // x = n ln 2 + r; adding 1.5 * 2^23 rounds to the integer n and leaves it in the lowest bits,
  // and 127 more make of them the exponent of 2^n.
  const V shift(12582912.0f + 127.0f);
  SEQSTATE_EACH n[i] = fma(x[i], V(1.44269504088896341f), shift);
  SEQSTATE_EACH e.scale[i] = as_exponent(n[i]);
  SEQSTATE_EACH n[i] = n[i] - shift;
  // ln 2 in two parts: n times the first one is exact.
  SEQSTATE_EACH r[i] = fma(n[i], V(-0.693359375f), x[i]);
  SEQSTATE_EACH r[i] = fma(n[i], V(2.12194440e-4f), r[i]);
  // (e^r - 1 - r) / r^2 by a least-squares fit on |r| <= ln 2 / 2, relative error 4e-9.
  SEQSTATE_EACH q[i] = fma(r[i], V(0.0013814540579915047f), V(0.00836874544620514f));
  SEQSTATE_EACH q[i] = fma(q[i], r[i], V(0.04166838899254799f));
  SEQSTATE_EACH q[i] = fma(q[i], r[i], V(0.1666652113199234f));
  SEQSTATE_EACH q[i] = fma(q[i], r[i], V(0.4999999403953552f));
  SEQSTATE_EACH e.rest[i] = fma(r[i] * r[i], q[i], r[i]);
  return e;
}

// A sigmoid is 1 / (1 + e^-x). Near 89 the scale is infinite and the gate 0, so that it stops even
// an infinity.
[[gnu::always_inline]] inline V sigmoid_exponent(V x) {
  return max(V(-87.0f), min(V(89.0f), V(0.0f) - x));
}
[[gnu::always_inline]] inline V sigmoid_of(V scale, V rest) {
  return V(1.0f) / fma(scale, V(1.0f) + rest, V(1.0f));
}

// tanh |x| = (e^2|x| - 1) / (e^2|x| + 1); it is 1 in float32 from |x| = 9.02 on.
[[gnu::always_inline]] inline V tanh_exponent(V x) {
  const V a = min(V(10.0f), abs(x));
  return a + a;
}
[[gnu::always_inline]] inline V tanh_of(V scale, V rest, V x) {
  const V less = fma(scale, rest, scale - V(1.0f));  // e^2|x| - 1
  return with_sign_of(less / (less + V(2.0f)), x);
}

// The sigmoids of some numbers and the tanh of others, all side by side.
template <int A, int B>
[[gnu::always_inline]] inline void sigmoid_and_tanh(V (&x)[A], V (&y)[B]) {
  constexpr int N = A + B;
  V exponents[N];
  SEQSTATE_EACH exponents[i] = i < A ? sigmoid_exponent(x[i]) : tanh_exponent(y[i - A]);
  const Exponential<N> e = exponential(exponents);
  SEQSTATE_EACH {
    if (i < A) x[i] = sigmoid_of(e.scale[i], e.rest[i]);
    else y[i - A] = tanh_of(e.scale[i], e.rest[i], y[i - A]);
  }
}

template <int N>
[[gnu::always_inline]] inline void sigmoid(V (&x)[N]) {
  V y[N];
  SEQSTATE_EACH y[i] = sigmoid_exponent(x[i]);
  const Exponential<N> e = exponential(y);
  SEQSTATE_EACH x[i] = sigmoid_of(e.scale[i], e.rest[i]);
}

template <int N>
[[gnu::always_inline]] inline void tanh(V (&x)[N]) {
  V y[N];
  SEQSTATE_EACH y[i] = tanh_exponent(x[i]);
  const Exponential<N> e = exponential(y);
  SEQSTATE_EACH x[i] = tanh_of(e.scale[i], e.rest[i], x[i]);
}

// e^x itself: 0 up to -87, where the normal numbers end, and infinite from 88.73 on.
template <int N>
[[gnu::always_inline]] inline void exponentials(V (&x)[N]) {
  V y[N];
  // Near the upper end the scale would be infinite before the product is: e * e^(x - 1) there.
  const V high(88.0f), low(-87.0f), zero(0.0f), one(1.0f);
  SEQSTATE_EACH y[i] = max(low, min(V(90.0f), x[i]) - if_greater(x[i], high, one, zero));
  const Exponential<N> e = exponential(y);
  SEQSTATE_EACH {
    const V found = e.scale[i] * (one + e.rest[i]) * if_greater(x[i], high, V(2.71828183f), one);
    x[i] = if_greater(low, x[i], zero, found);
  }
}

#undef SEQSTATE_EACH

inline V relu(V x) { return max(V(0.0f), x); }

inline V hard_sigmoid(V x) {
  return max(V(0.0f), min(V(1.0f), fma(x, V(1.0f / 6.0f), V(0.5f))));
}

inline V activate(Activation activation, V x) {
  V one[1] = {x};
  switch (activation) {
    case Activation::tanh: tanh(one); break;
    case Activation::sigmoid: sigmoid(one); break;
    case Activation::relu: return relu(x);
    case Activation::hard_sigmoid: return hard_sigmoid(x);
    case Activation::linear: break;
  }
  return one[0];
}

// The slope of an activation where it gave the value y.
inline V slope(Activation activation, V y) {
  const V zero(0.0f), one(1.0f);
  switch (activation) {
    case Activation::tanh: return one - y * y;
    case Activation::sigmoid: return y * (one - y);
    case Activation::relu: return if_greater(y, zero, one, zero);
    case Activation::hard_sigmoid: {
      const V inside = if_greater(one, y, V(1.0f / 6.0f), zero);
      return if_greater(y, zero, inside, zero);
    }
    case Activation::linear: break;
  }
  return one;
}

// The usual pair is known at compile time.
struct Usual {
  explicit Usual(const Cell&) {}
  template <int N>
  [[gnu::always_inline]] void cell(V (&x)[N]) const {
    tanh(x);
  }
  template <int N>
  [[gnu::always_inline]] void gate(V (&x)[N]) const {
    sigmoid(x);
  }
  template <int A, int B>
  [[gnu::always_inline]] void all(V (&gates)[A], V (&cells)[B]) const {
    sigmoid_and_tanh(gates, cells);
  }
  V cell_slope(V y) const { return V(1.0f) - y * y; }
  V gate_slope(V y) const { return y * (V(1.0f) - y); }
};

struct Chosen {
  Activation activation, recurrent;
  explicit Chosen(const Cell& cell)
      : activation(cell.activation), recurrent(cell.recurrent_activation) {}
  template <int N>
  void cell(V (&x)[N]) const {
    for (V& one : x) one = activate(activation, one);
  }
  template <int N>
  void gate(V (&x)[N]) const {
    for (V& one : x) one = activate(recurrent, one);
  }
  template <int A, int B>
  void all(V (&gates)[A], V (&cells)[B]) const {
    gate(gates);
    cell(cells);
  }
  V cell_slope(V y) const { return slope(activation, y); }
  V gate_slope(V y) const { return slope(recurrent, y); }
};

inline bool is_usual(const Cell& cell) {
  return cell.activation == Activation::tanh &&
         (cell.kind == Kind::simple_rnn || cell.recurrent_activation == Activation::sigmoid);
}

}  // namespace seqstate::SEQSTATE_BUILD
