// A squared Euclidean distance, out of inner products or of the coordinates themselves.
#pragma once

#include <cstdint>

#include "macros.hpp"

namespace diptych::core::DIPTYCH_ISA {

// |x|^2 + |y|^2 - 2<x,y>, never below zero. With norms from the product's own diagonal two equal rows
// come out at exactly zero: all three numbers are then the same.
template <class F>
DIPTYCH_HD inline F squared_distance(F norm_x, F norm_y, F product) {
  const F d = (norm_x + norm_y) - (product + product);
  return d > F(0) ? d : F(0);
}

// |x - y|^2 from differences of coordinates: exactly zero for equal rows, and symmetric.
template <class F>
DIPTYCH_HD inline F direct_squared_distance(const F* x, const F* y, std::int64_t d) {
  F sum = F(0);
  for (std::int64_t k = 0; k < d; ++k) sum += (x[k] - y[k]) * (x[k] - y[k]);
  return sum;
}

}  // namespace diptych::core::DIPTYCH_ISA
