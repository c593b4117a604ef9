// The distance of two rows from the differences of their coordinates.
#pragma once

#include <cstdint>

#include "macros.hpp"

namespace diptych::core::DIPTYCH_ISA {

// |x - y|^2. Sixteen sums side by side, added up in one order whatever the instruction set; equal rows are at
// distance exactly zero, and x and y may be exchanged.
template <class F>
DIPTYCH_HD inline F squared_distance_direct(const F* x, const F* y, std::int64_t d) {
  constexpr int lanes = 16;
  F sums[lanes] = {};
  std::int64_t first = 0;
  for (; first + lanes <= d; first += lanes)
#pragma omp simd
    for (int lane = 0; lane < lanes; ++lane) {
      const F gap = x[first + lane] - y[first + lane];
      sums[lane] += gap * gap;
    }
  for (int lane = 0; first + lane < d; ++lane) {
    const F gap = x[first + lane] - y[first + lane];
    sums[lane] += gap * gap;
  }
  for (int half = lanes / 2; half > 0; half /= 2)
    for (int lane = 0; lane < half; ++lane) sums[lane] += sums[lane + half];
  return sums[0];
}

}  // namespace diptych::core::DIPTYCH_ISA
