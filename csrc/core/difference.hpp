// How differently two representations see one pair of items, and the affinity made from it.
#pragma once

#include "elementary.hpp"

namespace diptych::core {

enum class Difference { locally_biased, subtraction };

}  // namespace diptych::core

namespace diptych::core::DIPTYCH_ISA {

// G = tanh(gamma (a - b) / (min(a, b) + offset)): large where one representation calls the pair near.
// Two distances of zero agree (G = 0); one distance of zero is the limit (G = +-1). `ranks` says that a and
// b are whole numbers: no positive one is then so small that `quotient` would not do.
template <bool ranks = false, class F>
DIPTYCH_HD inline F locally_biased(F a, F b, F gamma, F offset) {
  const F saturated = F(40);  // tanh(40) rounds to 1 in both precisions
  const F gap = a - b;
  const F nearest = (a < b ? a : b) + offset;
  const F limit = gap > F(0) ? saturated : (gap < F(0) ? -saturated : F(0));
  const F divisor = nearest > F(0) ? nearest : F(1);
  const F ratio = ranks ? quotient(gap, divisor) : gap / divisor;
  return hyperbolic_tangent(nearest > F(0) ? gamma * ratio : limit);
}

template <Difference kind, bool ranks = false, class F>
DIPTYCH_HD inline F difference(F a, F b, F gamma, F offset) {
  return kind == Difference::subtraction ? gamma * (a - b) : locally_biased<ranks>(a, b, gamma, offset);
}

}  // namespace diptych::core::DIPTYCH_ISA
