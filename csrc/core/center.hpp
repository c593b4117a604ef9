// A point near the mean of a column that can be subtracted from it without rounding what is exact.
#pragma once

#include <cmath>

#include "macros.hpp"

namespace diptych::core::DIPTYCH_ISA {

// The mean rounded to a multiple of a power of two no larger than the column's spread, and to an integer where
// the column is `whole`: fractions would cost the products of integers the bits that keep them exact. A constant
// column is centred by its value; where nothing finite comes out, by nothing.
DIPTYCH_HD inline double center_of_column(double mean, double deviation, bool whole, double first) {
  double center = first;
  if (deviation > 0) {
    double spread = ::exp2(::floor(::log2(deviation)));
    if (whole && spread < 1) spread = 1;
    center = ::rint(mean / spread) * spread;
  }
  return center - center == 0 ? center : 0;
}

}  // namespace diptych::core::DIPTYCH_ISA
