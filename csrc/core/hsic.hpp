// Linear Hilbert-Schmidt independence criteria of a few items, in double and without a matrix library.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>

#include "macros.hpp"

namespace diptych::core::DIPTYCH_ISA {

// The power of two by which numbers of this range are multiplied to lie between a half and one, as the
// exponent; 0 where the range is no positive number.
template <class F>
DIPTYCH_HD inline int range_exponent(F range) {
  int exponent = 0;
  if (range > 0 && range <= std::numeric_limits<F>::max()) std::frexp(range, &exponent);
  return -exponent;
}

// out (n, d) = x less its columns' means, times the power of two for the widest column's range; zero where all
// rows are the same. NaN and Inf spread to their column.
template <class F>
DIPTYCH_HD inline void standardize(const F* x, std::int64_t n, std::int64_t d, double* out) {
  F widest = 0;
  for (std::int64_t j = 0; j < d; ++j) {
    F low = x[j], high = x[j];
    double sum = 0;
    for (std::int64_t i = 0; i < n; ++i) {
      const F value = x[i * d + j];
      low = value < low ? value : low;
      high = value > high ? value : high;
      sum += out[i * d + j] = static_cast<double>(value) - x[j];
    }
    widest = high - low > widest ? high - low : widest;
    for (std::int64_t i = 0; i < n; ++i) out[i * d + j] -= sum / n;
  }
  const int exponent = range_exponent(widest);
  for (std::int64_t at = 0; at < n * d; ++at) out[at] = std::ldexp(out[at], exponent);
}

DIPTYCH_HD inline double inner_product(const double* a, const double* b, std::int64_t d) {
  double sum = 0;
  for (std::int64_t j = 0; j < d; ++j) sum += a[j] * b[j];
  return sum;
}

// HSIC of (x, y), (x, x) and (y, y), standardised, up to a common factor, and the biased HSIC of (x, x) and
// (y, y): hsics[5]. Unbiased if `debiased` (Song et al. 2012, eq. 4, for data whose mean is zero). O(n² d).
DIPTYCH_HD inline void linear_hsics(const double* x, std::int64_t d_x, const double* y, std::int64_t d_y,
                                    std::int64_t n, bool debiased, double* hsics) {
  double beside[3] = {}, diagonal[3] = {}, trace_x = 0, trace_y = 0;
  for (std::int64_t i = 0; i < n; ++i)
    for (std::int64_t j = 0; j <= i; ++j) {
      const double k = inner_product(x + i * d_x, x + j * d_x, d_x);
      const double l = inner_product(y + i * d_y, y + j * d_y, d_y);
      double* sums = i == j ? diagonal : beside;
      sums[0] += k * l;
      sums[1] += k * k;
      sums[2] += l * l;
      if (i == j) {
        trace_x += k;
        trace_y += l;
      }
    }
  const double traces[3] = {trace_x * trace_y, trace_x * trace_x, trace_y * trace_y};
  for (int s = 0; s < 3; ++s) {
    const double biased = 2 * beside[s] + diagonal[s];
    hsics[s] = biased;
    if (s > 0) hsics[2 + s] = biased;
    if (debiased)
      hsics[s] += traces[s] / ((n - 1.0) * (n - 2.0)) - n / (n - 2.0) * diagonal[s];
  }
}

}  // namespace diptych::core::DIPTYCH_ISA
