// Rows divided by their length, and whether they have one.
#pragma once

#include <cmath>
#include <cstdint>

#include "macros.hpp"

namespace diptych::core::DIPTYCH_ISA {

// A row (d,) divided by its length, in double; scaled by a power of two first where squares of its entries would
// overflow or vanish. A zero row becomes NaN.
template <class E, class F>
inline void unit_row(const E* row, std::int64_t d, F* out) {
  double peak = 0;
#pragma omp simd reduction(max : peak)
  for (std::int64_t j = 0; j < d; ++j) {
    const double size = std::fabs(static_cast<double>(row[j]));
    peak = size > peak ? size : peak;
  }
  double scale = 1;
  if (peak > 0 && (peak < 1e-140 || peak > 1e140)) {
    const int exponent = std::ilogb(peak);
    scale = std::ldexp(1.0, exponent < -1000 ? 1000 : exponent > 1000 ? -1000 : -exponent);
  }
  double squares = 0;
#pragma omp simd reduction(+ : squares)
  for (std::int64_t j = 0; j < d; ++j) {
    const double value = row[j] * scale;
    squares += value * value;
  }
  const double length = std::sqrt(squares);
#pragma omp simd
  for (std::int64_t j = 0; j < d; ++j) out[j] = static_cast<F>(row[j] * scale / length);
}

template <class F>
inline bool is_zero_row(const F* row, std::int64_t d) {
  for (std::int64_t j = 0; j < d; ++j)
    if (row[j] != 0) return false;
  return true;
}

}  // namespace diptych::core::DIPTYCH_ISA
