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

// Rows whose distances to one row are computed side by side: whole registers of any instruction set.
constexpr int kRowLanes = 32;

// y (count, d) with count <= kRowLanes -> columns (d, kRowLanes), zero past count.
template <class E>
inline void rows_to_lanes(const E* y, std::int64_t count, std::int64_t d, double* columns) {
  for (std::int64_t j = 0; j < d; ++j)
    for (int lane = 0; lane < kRowLanes; ++lane)
      columns[j * kRowLanes + lane] = lane < count ? static_cast<double>(y[lane * d + j]) : 0;
}

// Squared distances (kRowLanes,) of the row a (d,) to the rows of `columns`: every lane sums its coordinates in
// their order, so that equal rows are at one distance, and an item at distance zero from its duplicates.
template <class E>
inline void squared_distances_to_lanes(const E* a, const double* columns, std::int64_t d, double* squares) {
  double sums[kRowLanes] = {};
  for (std::int64_t j = 0; j < d; ++j) {
    const double coordinate = static_cast<double>(a[j]);
#pragma omp simd
    for (int lane = 0; lane < kRowLanes; ++lane) {
      const double gap = coordinate - columns[j * kRowLanes + lane];
      sums[lane] += gap * gap;
    }
  }
  for (int lane = 0; lane < kRowLanes; ++lane) squares[lane] = sums[lane];
}

}  // namespace diptych::core::DIPTYCH_ISA
