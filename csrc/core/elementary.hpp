// exp and tanh that a compiler can turn into SIMD: no branches, no library calls, no fast-math.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#include "macros.hpp"

namespace diptych::core::DIPTYCH_ISA {

// a / b for sizes of b between 2^-126 and 2^126: on a GPU good to two units in the last place, without the
// care for other divisors, which costs more than all the rest of an affinity.
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

// exp(x) for float, clamped to the range in which neither exp(x) nor 1/exp(x) over- or underflows.
// x = n ln2 + r with |r| <= ln2/2 (two-part ln2 after Cody and Waite), then the Taylor polynomial of
// degree 7 in r, whose truncation error 0.347^8/8! = 5e-9 lies below half an ulp.
DIPTYCH_HD inline float exponential(float x) {
#if defined(__CUDA_ARCH__)
  return expf(fminf(fmaxf(x, -87.0f), 87.0f));
#else
  x = x < -87.0f ? -87.0f : x;
  x = x > 87.0f ? 87.0f : x;
  const float magic = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer kept in the low bits
  const float shifted = x * 1.44269504f + magic;
  const float n = shifted - magic;
  const float r = (x - n * 0.693359375f) - n * -2.12194440e-4f;
  float p = 1.0f / 5040.0f;
  p = p * r + 1.0f / 720.0f;
  p = p * r + 1.0f / 120.0f;
  p = p * r + 1.0f / 24.0f;
  p = p * r + 1.0f / 6.0f;
  p = p * r + 0.5f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  std::uint32_t bits;
  std::memcpy(&bits, &shifted, sizeof bits);
  bits = (bits << 23) + (127u << 23);  // the rounded exponent sits in the low bits of `shifted`
  float scale;
  std::memcpy(&scale, &bits, sizeof scale);
  return p * scale;
#endif
}

DIPTYCH_HD inline double exponential(double x) {
  x = x < -700.0 ? -700.0 : x;
  x = x > 700.0 ? 700.0 : x;
  return ::exp(x);
}

// tanh(x) for float: (1-e)/(1+e) with e = exp(-2|x|); below 0.4, where 1-e cancels, the Taylor series
// of tanh with seven terms, whose truncation error there is below 4e-9 relative.
DIPTYCH_HD inline float hyperbolic_tangent(float x) {
  const float size = x < 0.0f ? -x : x;
  const float e = exponential(-2.0f * size);
  const float large = quotient(1.0f - e, 1.0f + e);
  const float bounded = size < 0.4f ? size : 0.4f;
  const float z = bounded * bounded;
  float p = 21844.0f / 6081075.0f;
  p = p * z - 1382.0f / 155925.0f;
  p = p * z + 62.0f / 2835.0f;
  p = p * z - 17.0f / 315.0f;
  p = p * z + 2.0f / 15.0f;
  p = p * z - 1.0f / 3.0f;
  const float small = bounded + bounded * z * p;
  const float result = size < 0.4f ? small : large;
  return x < 0.0f ? -result : result;
}

DIPTYCH_HD inline double hyperbolic_tangent(double x) { return ::tanh(x); }

}  // namespace diptych::core::DIPTYCH_ISA
