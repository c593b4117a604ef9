// exp and tanh that a compiler can turn into SIMD: no branches, no library calls, no fast-math.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#include "macros.hpp"

namespace diptych::core::DIPTYCH_ISA {

// a / b for sizes of b between 2^-126 and 2^126, or infinite where b is 0: on a GPU good to two units in the last
// place, without the care for other divisors, which costs more than all the rest of an affinity.
DIPTYCH_HD inline float quotient(float a, float b) {
#if defined(__CUDA_ARCH__)
  float reciprocal;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(reciprocal) : "f"(b));
  return a * reciprocal;
#else
  return a / b;
#endif
}

DIPTYCH_HD inline double quotient(double a, double b) { return a / b; }

// How a floating-point type is made, and ln2 in two parts (Cody and Waite): n times the high one is exact
// for every exponent n there is.
template <class F>
struct Format;
template <>
struct Format<float> {
  using Bits = std::uint32_t;
  static constexpr int mantissa = 23;
  static constexpr Bits bias = 127;
  static constexpr float rounder = 12582912.0f;  // 1.5 * 2^23: adding it leaves an integer in the low bits
  static constexpr float ln2_high = 0.693359375f, ln2_low = -2.12194440e-4f;
  static constexpr float most = 87.0f;  // neither exp(most) nor its reciprocal over- or underflows
};
template <>
struct Format<double> {
  using Bits = std::uint64_t;
  static constexpr int mantissa = 52;
  static constexpr Bits bias = 1023;
  static constexpr double rounder = 6755399441055744.0;  // 1.5 * 2^52
  static constexpr double ln2_high = 0.69314718036912382, ln2_low = 1.9082149292705877e-10;
  static constexpr double most = 700.0;
};

template <class F>
DIPTYCH_HD inline typename Format<F>::Bits bits_of(F x) {
  typename Format<F>::Bits bits;
  std::memcpy(&bits, &x, sizeof bits);
  return bits;
}

template <class F>
DIPTYCH_HD inline F number_of(typename Format<F>::Bits bits) {
  F x;
  std::memcpy(&x, &bits, sizeof x);
  return x;
}

// x = n ln2 + rest with |rest| <= ln2/2; `exponent` is n where a number's bits keep their exponent.
template <class F>
struct Reduced {
  F rest;
  typename Format<F>::Bits exponent;
};

template <class F>
DIPTYCH_HD inline Reduced<F> reduce(F x) {
  const F shifted = x * F(1.4426950408889634) + Format<F>::rounder;
  const F n = shifted - Format<F>::rounder;
  const F rest = (x - n * Format<F>::ln2_high) - n * Format<F>::ln2_low;
  return {rest, bits_of(shifted) << Format<F>::mantissa};
}

// exp(r) = 1 + r + r^2 (even(r^2) + r odd(r^2)) for |r| <= ln2/2, of degree 6 in float and 11 in double.
// Least-squares fits, reweighted towards the smallest largest error relative to exp(r) - 1, each coefficient
// rounded before the next was fitted: off by 1.4e-8 of exp(r) - 1 and 5.6e-9 of exp(r) in float, by 2e-17 and
// 8e-18 in double.
DIPTYCH_HD inline float even_part(float z) {
  return 0.49999997f + z * (0.041667465f + z * 0.0013867997f);
}
DIPTYCH_HD inline float odd_part(float z) { return 0.16666545f + z * 0.008366412f; }
DIPTYCH_HD inline double even_part(double z) {
  const double high = 2.480150465698209e-05 + z * 2.7626241611679964e-07;
  return 0.5000000000000006 + z * (0.041666666666574016 + z * (0.001388888893221427 + z * high));
}
DIPTYCH_HD inline double odd_part(double z) {
  const double high = 2.7557376271260473e-06 + z * 2.5063772580676434e-08;
  return 0.16666666666666613 + z * (0.008333333333373922 + z * (0.00019841269753529935 + z * high));
}

// exp(r) - 1 for |r| <= ln2/2, to within an ulp of itself.
template <class F>
DIPTYCH_HD inline F exponential_minus_one(F r) {
  const F z = r * r;
  return r + z * (even_part(z) + r * odd_part(z));
}

// exp(x), clamped to the range in which neither exp(x) nor 1/exp(x) over- or underflows.
template <class F>
DIPTYCH_HD inline F exponential(F x) {
  x = x < -Format<F>::most ? -Format<F>::most : x;
  x = x > Format<F>::most ? Format<F>::most : x;
#if defined(__CUDA_ARCH__)
  return exp(x);
#else
  const Reduced<F> reduced = reduce(x);
  return number_of<F>(bits_of(F(1) + exponential_minus_one(reduced.rest)) + reduced.exponent);
#endif
}

// exp(x) and exp(-x) for |x| <= Format<F>::most, out of one reduction: their series differ in the sign of
// the odd powers, so that exp(-x) of x is exp(x) of -x to the last bit.
template <class F>
struct ExponentialPair {
  F plus, minus;
};

template <class F>
DIPTYCH_HD inline ExponentialPair<F> exponential_pair(F x) {
  const Reduced<F> reduced = reduce(x);
  const F z = reduced.rest * reduced.rest, even = even_part(z);
  const F odd = reduced.rest + reduced.rest * z * odd_part(z);
  return {number_of<F>(bits_of(F(1) + (z * even + odd)) + reduced.exponent),
          number_of<F>(bits_of(F(1) + (z * even - odd)) - reduced.exponent)};
}

// tanh(x) = -e / (2 + e) with e = exp(-2|x|) - 1, which is taken without cancellation: where it is small
// n is 0 and the series gives it, elsewhere 2^n - 1 is exact.
template <class F>
DIPTYCH_HD inline F hyperbolic_tangent(F x) {
#if defined(__CUDA_ARCH__)
  return tanh(x);
#else
  const F saturated = F(20);  // tanh(20) rounds to 1 in both precisions
  const F size = x < F(0) ? -x : x;
  const Reduced<F> reduced = reduce(F(-2) * (size > saturated ? saturated : size));
  const F scale = number_of<F>(reduced.exponent + (Format<F>::bias << Format<F>::mantissa));
  const F e = exponential_minus_one(reduced.rest) * scale + (scale - F(1));
  const F result = e / (F(2) + e);
  return x < F(0) ? result : -result;
#endif
}

}  // namespace diptych::core::DIPTYCH_ISA
