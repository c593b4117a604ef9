#include <cmath>

#include "kernels.hpp"

namespace diptych::cpu::DIPTYCH_ISA {

namespace {

// Entries taken in at once: a part of the level-1 cache, and many to a thread.
constexpr std::int64_t kPart = 4096;

}  // namespace

template <class F>
F peak(const F* x, std::int64_t count, int threads) {
  F largest = 0, poison = 0;  // x - x summed: NaN as soon as a number is NaN or Inf
  const std::int64_t parts = (count + kPart - 1) / kPart;
#pragma omp parallel for num_threads(count < 4 * kWorthThreads ? 1 : threads) schedule(static) \
    reduction(max : largest) reduction(+ : poison)
  for (std::int64_t part = 0; part < parts; ++part) {
    const std::int64_t first = part * kPart, end = first + kPart < count ? first + kPart : count;
    F high = 0, bad = 0;
#pragma omp simd reduction(max : high) reduction(+ : bad)
    for (std::int64_t i = first; i < end; ++i) {
      const F size = std::fabs(x[i]);
      high = size > high ? size : high;
      bad += x[i] - x[i];
    }
    largest = high > largest ? high : largest;
    poison += bad;
  }
  return largest + poison;
}

template float peak(const float*, std::int64_t, int);
template double peak(const double*, std::int64_t, int);

}  // namespace diptych::cpu::DIPTYCH_ISA
