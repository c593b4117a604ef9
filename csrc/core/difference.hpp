// How differently two representations see one pair of items, and the affinity made from it.
#pragma once

#include <limits>

#include "elementary.hpp"

namespace diptych::core {

enum class Difference { locally_biased, subtraction };

}  // namespace diptych::core

namespace diptych::core::DIPTYCH_ISA {

// The size of (a - b) / (min(a, b) + offset). Two distances of zero agree (0); one of zero is the limit (Inf).
// `ranks` says that a and b are whole numbers: no positive one is then so small that `quotient` would not do.
template <bool ranks = false, class F>
DIPTYCH_HD inline F biased_quotient(F a, F b, F gap, F offset) {
  const F nearest = (a < b ? a : b) + offset;
  return gap != F(0) ? std::fabs(ranks ? quotient(gap, nearest) : gap / nearest) : F(0);
}

// A sensitivity as the kernels take it. One too small for F must not vanish: times Inf it would be NaN.
template <class F>
inline F sensitivity(double gamma) {
  const F rounded = static_cast<F>(gamma);
  return rounded > F(0) ? rounded : std::numeric_limits<F>::denorm_min();
}

// G = tanh(gamma (a - b) / (min(a, b) + offset)): large where one representation calls the pair near.
template <bool ranks = false, class F>
DIPTYCH_HD inline F locally_biased(F a, F b, F gamma, F offset) {
  const F gap = a - b;
  return std::copysign(hyperbolic_tangent(gamma * biased_quotient<ranks>(a, b, gap, offset)), gap);
}

template <Difference kind, class F>
DIPTYCH_HD inline F difference(F a, F b, F gamma, F offset) {
  return kind == Difference::subtraction ? gamma * (a - b) : locally_biased(a, b, gamma, offset);
}

// beta G, for an affinity: an error relative to beta, not to the result, is enough there, which spares
// tanh(x) = 2 / (1 + exp(-2x)) - 1 the care for small x.
template <Difference kind, bool ranks = false, class F>
DIPTYCH_HD inline F scaled_difference(F a, F b, F gamma, F beta, F offset) {
  const F gap = a - b;
  if (kind == Difference::subtraction) {
    const F most = Format<F>::most, scaled = beta * (gamma * gap);
    const F above = scaled < -most ? -most : scaled;
    return above > most ? most : above;
  }
  const F saturated = F(20);  // tanh(20) rounds to 1 in both precisions
  const F x = gamma * biased_quotient<ranks>(a, b, gap, offset);
  const F divisor = F(1) + exponential_pair(F(-2) * (x > saturated ? saturated : x)).plus;
  const F weight = ranks ? quotient(F(1), divisor) : F(1) / divisor;
  return std::copysign((beta + beta) * weight - beta, gap);
}

// exp(-beta G) and exp(+beta G), the affinities of both directions.
template <class F>
struct Affinities {
  F ab, ba;
};

template <Difference kind, bool ranks = false, class F>
DIPTYCH_HD inline Affinities<F> affinities(F a, F b, F gamma, F beta, F offset) {
  const ExponentialPair<F> both = exponential_pair(scaled_difference<kind, ranks>(a, b, gamma, beta, offset));
  return {both.minus, both.plus};
}

}  // namespace diptych::core::DIPTYCH_ISA
