// What the two non-negative least-squares solvers share: the dictionary, the tolerances, the report.
#pragma once

#include <cmath>
#include <cstdint>

#include "lanes.hpp"

namespace diptych::core::DIPTYCH_ISA {

// The Gram matrix of a dictionary whose atoms are brought to unit length, (k, stride), zero where padded;
// a zero atom has a zero row. `inverse` is the matrix's inverse (without the atoms that are combinations of
// others, whose rows are zero). Coefficients of the unit atoms times inverse_norms are those of the given.
struct Atoms {
  const double* gram;
  const double* inverse;
  const double* inverse_norms;
  int k, stride;
};

// Rows of a Gram matrix are padded so that whole registers can be read.
constexpr int kPadding = 8;
DIPTYCH_HD constexpr int padded(int k) { return (k + kPadding - 1) / kPadding * kPadding; }

// w (d,) -> the unit vector of its direction, (d,); returns the inverse of its norm. Zero for an atom of
// zeros, or one so small that the inverse is no number.
template <class F>
DIPTYCH_HD inline double unit_atom(const F* w, std::int64_t d, double* unit) {
  double peak = 0, squares = 0;
  for (std::int64_t i = 0; i < d; ++i) {
    const double size = std::fabs(static_cast<double>(w[i]));
    peak = size <= peak ? peak : size;  // NaN stays
  }
  const double shrink = peak < 1e-305 ? 0 : 1 / peak;  // the square of a peak may leave the range of numbers
  for (std::int64_t i = 0; i < d; ++i) {
    unit[i] = static_cast<double>(w[i]) * shrink;
    squares += unit[i] * unit[i];
  }
  const double inverse = shrink == 0 ? 0 : 1 / std::sqrt(squares);
  for (std::int64_t i = 0; i < d; ++i) unit[i] *= inverse;
  return shrink * inverse;
}

// Atoms have unit length and targets are scaled to max |b_j| = 1, so that these are relative numbers.
// An atom that leaves less than this of its squared length once those before it are projected out is one
// of their combinations as far as float64 can tell: the elimination's rounding is about k eps = 6e-14 at
// k = 256, more where those before it nearly depend on each other.
constexpr double kLeastPivot = 1e-12;
// How far coefficients and gradients may be from what the optimality conditions say, per unit of 1 + sum |x|.
// Sums of k products are off by k eps at most.
constexpr double kTolerance = 1e-12;
// The same where the methods that factorise fail: coordinate descent stops there.
constexpr double kLooseTolerance = 1e-9;

// Up to this many atoms problems are solved side by side in lanes, beyond one after the other: the first
// factorises all k atoms, the second only those in use. (Measured: a third faster at 32, slower at 64.)
constexpr int kMostAtomsInLanes = 40;

// The first rows (or the number of rows, for none) that hold NaN or Inf, and that no method solved.
struct NnlsReport {
  std::int64_t nonfinite, unsolved;
  DIPTYCH_HD void add_nonfinite(std::int64_t row) { nonfinite = row < nonfinite ? row : nonfinite; }
  DIPTYCH_HD void add_unsolved(std::int64_t row) { unsolved = row < unsolved ? row : unsolved; }
};

// How much work each method may spend on a problem before the next takes over.
struct NnlsLimits {
  int pivots, exchanges, sweeps;
};

// Targets b (k,), `step` apart, of one row of products with the unit atoms, scaled to max |b_j| = 1.
// Returns the scale: 0 if no product is positive and the answer is zero, NaN if one is not finite.
DIPTYCH_HD inline double scaled_targets(const double* products, int k, double* b, int step) {
  double size = 0, largest = 0, check = 0;
  for (int j = 0; j < k; ++j) {
    const double target = products[j];
    largest = target > largest ? target : largest;
    size = std::fabs(target) > size ? std::fabs(target) : size;
    check += target * 0;  // NaN from then on if it is not finite
  }
  if (!(check == 0)) return check;
  if (!(largest > 0)) return 0;
  const double inverse = 1 / size;
  for (int j = 0; j < k; ++j) b[j * step] = products[j] * inverse;
  return size;
}

// Writes the coefficients of the given atoms, (k,); those of unit atoms are `step` apart. False if one is
// too large a number.
template <class Out>
DIPTYCH_HD inline bool write_coefficients(const Atoms& atoms, const double* x, int step, double size,
                                          Out* out) {
  Out check = 0;
  for (int j = 0; j < atoms.k; ++j) {
    const double coefficient = x[j * step] > 0 ? x[j * step] * size * atoms.inverse_norms[j] : 0;
    out[j] = static_cast<Out>(coefficient);
    check += out[j] * 0;
  }
  return check == 0;
}

template <class Out>
DIPTYCH_HD inline void fill(Out* out, int k, double value) {
  for (int j = 0; j < k; ++j) out[j] = static_cast<Out>(value);
}

}  // namespace diptych::core::DIPTYCH_ISA
