// A difference of two representations in one byte: steps of 1/127 between -1 and 1.
#pragma once

#include <cstdint>

#include "difference.hpp"

namespace diptych::core {

constexpr int kSteps = 127;

// Sizes that the difference of two bytes can have: those of codes, and one more of bytes that are none.
constexpr int kGaps = 2 * kSteps + 2;

}  // namespace diptych::core

namespace diptych::core::DIPTYCH_ISA {

// The nearest whole number of |x| <= 127. Adding the rounder leaves it in the lowest bits, in two's complement.
DIPTYCH_HD inline std::int8_t nearest_step(float x) {
  return static_cast<std::int8_t>(bits_of(x + Format<float>::rounder));
}

// G in steps, not yet rounded, and never beyond what a byte holds.
template <Difference kind, bool ranks = false>
DIPTYCH_HD inline float difference_in_steps(float a, float b, float gamma, float offset) {
  const float steps = static_cast<float>(kSteps);
  if (kind == Difference::locally_biased) return scaled_difference<kind, ranks>(a, b, gamma, steps, offset);
  const float plain = steps * (gamma * (a - b)), above = plain < -steps ? -steps : plain;
  return above > steps ? steps : above;
}

// log(cosh(beta gap / 2)) / beta in steps, of a gap in steps: what symmetrising adds to a mean of logarithms.
// (cosh(2x) = 1 + 2 sinh(x)^2 keeps its digits where beta is tiny.)
inline float symmetric_excess(int gap, double beta) {
  const double root = std::sinh(beta * gap / (4.0 * kSteps));
  return static_cast<float>(std::log1p(2.0 * root * root) / beta * kSteps);
}

// The logarithms, over beta and in steps, of both directions' symmetric affinities of a pair.
struct PackedPair {
  std::int8_t ab, ba;
};

// g and h are G_ij and G_ji; excess[d] is symmetric_excess(d). (exp(-x) + exp(-y))/2 = exp(-(x + y)/2)
// cosh((x - y)/2). `dither`, a quarter step up or down in turns, keeps the halves among the means from all
// being rounded the same way.
DIPTYCH_HD inline PackedPair symmetric_pair(int g, int h, const float* excess, float dither) {
  const float mean = 0.5f * static_cast<float>(g + h);
  const float most = static_cast<float>(kSteps), extra = excess[g < h ? h - g : g - h] + dither;
  const float ab = extra - mean, ba = extra + mean;
  return {nearest_step(ab > most ? most : ab), nearest_step(ba > most ? most : ba)};
}

}  // namespace diptych::core::DIPTYCH_ISA
