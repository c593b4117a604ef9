// A squared Euclidean distance out of inner products.
#pragma once

#include "macros.hpp"

namespace diptych::core::DIPTYCH_ISA {

// |x|^2 + |y|^2 - 2<x,y>, never below zero. With norms from the product's own diagonal two equal rows
// come out at exactly zero: all three numbers are then the same.
template <class F>
DIPTYCH_HD inline F squared_distance(F norm_x, F norm_y, F product) {
  const F d = (norm_x + norm_y) - (product + product);
  return d > F(0) ? d : F(0);
}

}  // namespace diptych::core::DIPTYCH_ISA
