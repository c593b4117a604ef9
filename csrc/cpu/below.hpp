// Sixteen comparisons at once, as a bit mask: what compilers do not make of a loop by themselves.
#pragma once

#include <cstdint>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#include "kernels.hpp"

namespace diptych::cpu::DIPTYCH_ISA {

constexpr int kBelowWidth = 16;

#if defined(__AVX512F__)
using Sixteen = __m512;
inline Sixteen load(const float* values) { return _mm512_loadu_ps(values); }
inline Sixteen load(float value) { return _mm512_set1_ps(value); }
inline std::uint32_t below(Sixteen low, const float* products, Sixteen thresholds) {
  const Sixteen values = _mm512_fnmadd_ps(_mm512_set1_ps(2.0f), _mm512_loadu_ps(products), low);
  return _mm512_cmp_ps_mask(values, thresholds, _CMP_LT_OQ);
}
#elif defined(__AVX2__)
struct Sixteen {
  __m256 first, second;
};
inline Sixteen load(const float* values) { return {_mm256_loadu_ps(values), _mm256_loadu_ps(values + 8)}; }
inline Sixteen load(float value) { return {_mm256_set1_ps(value), _mm256_set1_ps(value)}; }
inline std::uint32_t below(Sixteen low, const float* products, Sixteen thresholds) {
  const __m256 two = _mm256_set1_ps(2.0f);
  const __m256 first = _mm256_fnmadd_ps(two, _mm256_loadu_ps(products), low.first);
  const __m256 second = _mm256_fnmadd_ps(two, _mm256_loadu_ps(products + 8), low.second);
  return static_cast<std::uint32_t>(_mm256_movemask_ps(_mm256_cmp_ps(first, thresholds.first, _CMP_LT_OQ))) |
         static_cast<std::uint32_t>(_mm256_movemask_ps(_mm256_cmp_ps(second, thresholds.second, _CMP_LT_OQ)))
             << 8;
}
#else
struct Sixteen {
  float lanes[kBelowWidth];
};
inline Sixteen load(const float* values) {
  Sixteen all;
  for (int j = 0; j < kBelowWidth; ++j) all.lanes[j] = values[j];
  return all;
}
inline Sixteen load(float value) {
  Sixteen all;
  for (float& lane : all.lanes) lane = value;
  return all;
}
inline std::uint32_t below(const Sixteen& low, const float* products, const Sixteen& thresholds) {
  std::uint32_t mask = 0;
  for (int j = 0; j < kBelowWidth; ++j)
    mask |= static_cast<std::uint32_t>(low.lanes[j] - 2.0f * products[j] < thresholds.lanes[j]) << j;
  return mask;
}
#endif

}  // namespace diptych::cpu::DIPTYCH_ISA
