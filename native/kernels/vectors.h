// A vector of floats, as wide as the instruction set that this file is compiled for.
//
// Every build has the same few operations and each rounds alike, so what is written on top gives
// the same bits in all of them (but the one without fused multiply-adds). min and max give their
// second argument if either is a NaN.
#pragma once

#include <cstdint>
#include <cstring>

#if defined(__AVX2__)
#include <immintrin.h>
#elif defined(__ARM_NEON)
#include <arm_neon.h>
#endif

// Before a loop over an array of vectors whose length is a constant: written out, the array lies
// in registers.
#if defined(__clang__)
#define SEQSTATE_UNROLL _Pragma("unroll")
#else
#define SEQSTATE_UNROLL _Pragma("GCC unroll 32")
#endif

namespace seqstate::SEQSTATE_BUILD {

#if defined(__AVX2__) && defined(__FMA__)

struct Avx2 {
  static constexpr int lanes = 8;
  static constexpr bool fused = true;
  static constexpr int registers = 16;
  __m256 v;

  Avx2() = default;
  Avx2(__m256 value) : v(value) {}
  explicit Avx2(float value) : v(_mm256_set1_ps(value)) {}
  static Avx2 load(const float* p) { return _mm256_loadu_ps(p); }
  static Avx2 broadcast(const float* p) { return _mm256_broadcast_ss(p); }
  static Avx2 load(const float* p, int64_t count) {
    return count >= lanes ? load(p) : Avx2(_mm256_maskload_ps(p, first(count)));
  }
  void store(float* p) const { _mm256_storeu_ps(p, v); }
  void store(float* p, int64_t count) const {
    if (count >= lanes) store(p);
    else _mm256_maskstore_ps(p, first(count), v);
  }
  friend Avx2 operator+(Avx2 a, Avx2 b) { return _mm256_add_ps(a.v, b.v); }
  friend Avx2 operator-(Avx2 a, Avx2 b) { return _mm256_sub_ps(a.v, b.v); }
  friend Avx2 operator*(Avx2 a, Avx2 b) { return _mm256_mul_ps(a.v, b.v); }
  friend Avx2 operator/(Avx2 a, Avx2 b) { return _mm256_div_ps(a.v, b.v); }
  friend Avx2 fma(Avx2 a, Avx2 b, Avx2 c) { return _mm256_fmadd_ps(a.v, b.v, c.v); }
  friend Avx2 min(Avx2 a, Avx2 b) { return _mm256_min_ps(a.v, b.v); }
  friend Avx2 max(Avx2 a, Avx2 b) { return _mm256_max_ps(a.v, b.v); }
  // a > b ? yes : no
  friend Avx2 if_greater(Avx2 a, Avx2 b, Avx2 yes, Avx2 no) {
    return _mm256_blendv_ps(no.v, yes.v, _mm256_cmp_ps(a.v, b.v, _CMP_GT_OQ));
  }
  friend Avx2 abs(Avx2 a) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a.v); }
  friend Avx2 with_sign_of(Avx2 magnitude, Avx2 sign) {
    const __m256 bit = _mm256_set1_ps(-0.0f);
    return _mm256_or_ps(magnitude.v, _mm256_and_ps(bit, sign.v));
  }
  // The float whose exponent bits are the lowest bits of a.
  friend Avx2 as_exponent(Avx2 a) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_castps_si256(a.v), 23));
  }

 private:
  static __m256i first(int64_t count) {
    const __m256i index = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(count)), index);
  }
};

#endif

#if defined(__AVX512F__)

struct Avx512 {
  static constexpr int lanes = 16;
  static constexpr bool fused = true;
  static constexpr int registers = 32;
  __m512 v;

  Avx512() = default;
  Avx512(__m512 value) : v(value) {}
  explicit Avx512(float value) : v(_mm512_set1_ps(value)) {}
  static Avx512 load(const float* p) { return _mm512_loadu_ps(p); }
  static Avx512 broadcast(const float* p) { return _mm512_set1_ps(*p); }
  static Avx512 load(const float* p, int64_t count) {
    return count >= lanes ? load(p) : Avx512(_mm512_maskz_loadu_ps(first(count), p));
  }
  void store(float* p) const { _mm512_storeu_ps(p, v); }
  void store(float* p, int64_t count) const {
    if (count >= lanes) store(p);
    else _mm512_mask_storeu_ps(p, first(count), v);
  }
  friend Avx512 operator+(Avx512 a, Avx512 b) { return _mm512_add_ps(a.v, b.v); }
  friend Avx512 operator-(Avx512 a, Avx512 b) { return _mm512_sub_ps(a.v, b.v); }
  friend Avx512 operator*(Avx512 a, Avx512 b) { return _mm512_mul_ps(a.v, b.v); }
  friend Avx512 operator/(Avx512 a, Avx512 b) { return _mm512_div_ps(a.v, b.v); }
  friend Avx512 fma(Avx512 a, Avx512 b, Avx512 c) { return _mm512_fmadd_ps(a.v, b.v, c.v); }
  friend Avx512 min(Avx512 a, Avx512 b) { return _mm512_min_ps(a.v, b.v); }
  friend Avx512 max(Avx512 a, Avx512 b) { return _mm512_max_ps(a.v, b.v); }
  friend Avx512 if_greater(Avx512 a, Avx512 b, Avx512 yes, Avx512 no) {
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a.v, b.v, _CMP_GT_OQ), no.v, yes.v);
  }
  friend Avx512 abs(Avx512 a) { return _mm512_abs_ps(a.v); }
  friend Avx512 with_sign_of(Avx512 magnitude, Avx512 sign) {
    const __m512i bit = _mm512_set1_epi32(INT32_MIN);
    return _mm512_castsi512_ps(
        _mm512_or_si512(_mm512_castps_si512(magnitude.v),
                        _mm512_and_si512(bit, _mm512_castps_si512(sign.v))));
  }
  friend Avx512 as_exponent(Avx512 a) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_castps_si512(a.v), 23));
  }

 private:
  static __mmask16 first(int64_t count) {
    return count <= 0 ? 0 : static_cast<__mmask16>((1u << count) - 1u);
  }
};

#endif

// Four lanes with the compiler's own vectors: any processor; fused where the target has it.
struct Four {
  typedef float Floats __attribute__((vector_size(16)));
  typedef int32_t Ints __attribute__((vector_size(16)));
  static constexpr int lanes = 4;
#if defined(__ARM_NEON)
  static constexpr bool fused = true;
  static constexpr int registers = 32;
#else
  static constexpr bool fused = false;
  static constexpr int registers = 16;
#endif
  Floats v;

  Four() = default;
  Four(Floats value) : v(value) {}
  explicit Four(float value) : v{value, value, value, value} {}
  static Four load(const float* p) {
    Four r;
    std::memcpy(&r.v, p, sizeof r.v);
    return r;
  }
  static Four broadcast(const float* p) { return Four(*p); }
  static Four load(const float* p, int64_t count) {
    Four r(0.0f);
    for (int64_t i = 0; i < lanes && i < count; ++i) r.v[i] = p[i];
    return r;
  }
  void store(float* p) const { std::memcpy(p, &v, sizeof v); }
  void store(float* p, int64_t count) const {
    for (int64_t i = 0; i < lanes && i < count; ++i) p[i] = v[i];
  }
  friend Four operator+(Four a, Four b) { return a.v + b.v; }
  friend Four operator-(Four a, Four b) { return a.v - b.v; }
  friend Four operator*(Four a, Four b) { return a.v * b.v; }
  friend Four operator/(Four a, Four b) { return a.v / b.v; }
  friend Four fma(Four a, Four b, Four c) {
#if defined(__ARM_NEON)
    return Floats(vfmaq_f32(float32x4_t(c.v), float32x4_t(a.v), float32x4_t(b.v)));
#else
    return a.v * b.v + c.v;
#endif
  }
  friend Four min(Four a, Four b) { return a.v < b.v ? a.v : b.v; }
  friend Four max(Four a, Four b) { return a.v > b.v ? a.v : b.v; }
  friend Four if_greater(Four a, Four b, Four yes, Four no) { return a.v > b.v ? yes.v : no.v; }
  friend Four abs(Four a) { return Floats(Ints(a.v) & 0x7fffffff); }
  friend Four with_sign_of(Four magnitude, Four sign) {
    return Floats(Ints(magnitude.v) | (Ints(sign.v) & INT32_MIN));
  }
  friend Four as_exponent(Four a) {
    typedef uint32_t Bits __attribute__((vector_size(16)));
    return Floats(Bits(a.v) << 23);
  }
};

// Two vectors as one: shows on any machine what wider vectors would compute.
template <class Half>
struct Pair {
  static constexpr int lanes = 2 * Half::lanes;
  static constexpr bool fused = Half::fused;
  static constexpr int registers = 32;
  Half low, high;

  Pair() = default;
  Pair(Half l, Half h) : low(l), high(h) {}
  explicit Pair(float value) : low(value), high(value) {}
  static Pair load(const float* p) { return {Half::load(p), Half::load(p + Half::lanes)}; }
  static Pair broadcast(const float* p) { return {Half::broadcast(p), Half::broadcast(p)}; }
  static Pair load(const float* p, int64_t count) {
    if (count <= Half::lanes) return {Half::load(p, count), Half(0.0f)};
    return {Half::load(p), Half::load(p + Half::lanes, count - Half::lanes)};
  }
  void store(float* p) const {
    low.store(p);
    high.store(p + Half::lanes);
  }
  void store(float* p, int64_t count) const {
    low.store(p, count);
    if (count > Half::lanes) high.store(p + Half::lanes, count - Half::lanes);
  }
  friend Pair operator+(Pair a, Pair b) { return {a.low + b.low, a.high + b.high}; }
  friend Pair operator-(Pair a, Pair b) { return {a.low - b.low, a.high - b.high}; }
  friend Pair operator*(Pair a, Pair b) { return {a.low * b.low, a.high * b.high}; }
  friend Pair operator/(Pair a, Pair b) { return {a.low / b.low, a.high / b.high}; }
  friend Pair fma(Pair a, Pair b, Pair c) {
    return {fma(a.low, b.low, c.low), fma(a.high, b.high, c.high)};
  }
  friend Pair min(Pair a, Pair b) { return {min(a.low, b.low), min(a.high, b.high)}; }
  friend Pair max(Pair a, Pair b) { return {max(a.low, b.low), max(a.high, b.high)}; }
  friend Pair if_greater(Pair a, Pair b, Pair yes, Pair no) {
    return {if_greater(a.low, b.low, yes.low, no.low),
            if_greater(a.high, b.high, yes.high, no.high)};
  }
  friend Pair abs(Pair a) { return {abs(a.low), abs(a.high)}; }
  friend Pair with_sign_of(Pair a, Pair b) {
    return {with_sign_of(a.low, b.low), with_sign_of(a.high, b.high)};
  }
  friend Pair as_exponent(Pair a) { return {as_exponent(a.low), as_exponent(a.high)}; }
};

// A value in a register: without this a compiler reads it from memory again at each use, which
// takes more loads than a core can do beside the products.
#if defined(__AVX2__) && defined(__FMA__)
[[gnu::always_inline]] inline Avx2 held(Avx2 a) {
  asm("" : "+x"(a.v));
  return a;
}
#endif
#if defined(__AVX512F__)
[[gnu::always_inline]] inline Avx512 held(Avx512 a) {
  asm("" : "+v"(a.v));
  return a;
}
#endif
[[gnu::always_inline]] inline Four held(Four a) { return a; }
template <class Half>
[[gnu::always_inline]] inline Pair<Half> held(Pair<Half> a) {
  return a;
}

#if defined(SEQSTATE_WIDE)
using V = Pair<Avx2>;
#elif defined(__AVX512F__)
using V = Avx512;
#elif defined(__AVX2__) && defined(__FMA__)
using V = Avx2;
#else
using V = Four;
#endif

constexpr int L = V::lanes;

}  // namespace seqstate::SEQSTATE_BUILD
