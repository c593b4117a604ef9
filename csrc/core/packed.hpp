// A difference of two representations in one byte: steps of 1/127 between -1 and 1.
#pragma once

#include <cstdint>

#include "difference.hpp"

namespace diptych::core {

constexpr int kSteps = 127;

// Sizes that the difference of two packed numbers can have.
constexpr int kGaps = 2 * kSteps + 1;

}  // namespace diptych::core

namespace diptych::core::DIPTYCH_ISA {

// The nearest whole number of |x| <= 127. Adding the rounder leaves it in the lowest bits, in two's complement.
DIPTYCH_HD inline std::int8_t nearest_step(float x) {
  return static_cast<std::int8_t>(bits_of(x + Format<float>::rounder));
}

// G in steps, not yet rounded.
template <Difference kind, bool ranks = false>
DIPTYCH_HD inline float difference_in_steps(float a, float b, float gamma, float offset) {
  const float steps = static_cast<float>(kSteps);
  return kind == Difference::subtraction ? steps * (gamma * (a - b))
                                         : scaled_difference<kind, ranks>(a, b, gamma, steps, offset);
}

// log(cosh(beta gap / 2)) / beta in steps, of a gap in steps: what symmetrising adds to a mean of logarithms.
inline float symmetric_excess(int gap, double beta) {
  const double half = beta * gap / (2.0 * kSteps);
  const double tail = std::log1p(std::exp(-2.0 * half)) - 0.69314718055994531;  // cosh itself may overflow
  return static_cast<float>((half + tail) * kSteps / beta);
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
