// The distance of two rows from the differences of their coordinates.
#pragma once

#include <cstdint>

#include "macros.hpp"

namespace diptych::core::DIPTYCH_ISA {

// |a - b|^2 from differences of coordinates, in double and in one order of summation whoever asks: equal
// rows are at distance zero, and an item's duplicates at one distance.
template <class E>
DIPTYCH_HD inline double squared_distance_of_rows(const E* a, const E* b, std::int64_t d) {
  constexpr int lanes = 16;
  double sums[lanes] = {};
  std::int64_t j = 0;
  for (; j + lanes <= d; j += lanes)
    for (int lane = 0; lane < lanes; ++lane) {
      const double gap = static_cast<double>(a[j + lane]) - static_cast<double>(b[j + lane]);
      sums[lane] += gap * gap;
    }
  for (int lane = 0; j < d; ++j, ++lane) {
    const double gap = static_cast<double>(a[j]) - static_cast<double>(b[j]);
    sums[lane] += gap * gap;
  }
  for (int width = lanes / 2; width > 0; width /= 2)
    for (int lane = 0; lane < width; ++lane) sums[lane] += sums[lane + width];
  return sums[0];
}

}  // namespace diptych::core::DIPTYCH_ISA
