// Inner products of float32 or float64 rows with a few float64 ones, multiplied and summed in float64.
#pragma once

#if defined(__AVX512F__)
#include <immintrin.h>
#endif

#include <cstdint>

#include "../core/lanes.hpp"

namespace diptych::cpu::DIPTYCH_ISA {

using core::DIPTYCH_ISA::kLanes;
using core::DIPTYCH_ISA::Lanes;

// Rows and atoms whose sums are in registers at once.
constexpr int kTileRows = kLanes == 8 ? 4 : 2;
constexpr int kTileAtoms = kLanes == 8 ? 5 : 4;
// Columns multiplied at once, so that a tile's atoms stay in the cache next to the core.
constexpr int kTileColumns = 1024;

// The kLanes numbers at `from`, or the first `count` of them and zeros.
inline Lanes widened(const double* from) { return core::DIPTYCH_ISA::load(from); }
#if defined(__AVX512F__)
// In one instruction, where compilers make six of the general form. (Of the two spellings of the intrinsic
// this one does not make GCC 12 warn of an uninitialised value.)
inline Lanes widened(const float* from) { return Lanes(_mm512_maskz_cvtps_pd(0xff, _mm256_loadu_ps(from))); }
#else
inline Lanes widened(const float* from) {
  typedef float Half __attribute__((vector_size(kLanes * sizeof(float))));
  Half value;
  __builtin_memcpy(&value, from, sizeof value);
  return __builtin_convertvector(value, Lanes);
}
#endif
template <class F>
inline Lanes widened(const F* from, int count) {
  F padded[kLanes] = {};
  for (int i = 0; i < count; ++i) padded[i] = from[i];
  return widened(padded);
}

// out[r, c] += <a_r, w_c> over d columns for `rows` rows of a and `atoms` of w, whose rows are `stride`
// numbers long and zero past d. Each sum is taken in the same order whatever the tile.
template <int rows, int atoms, class F>
void add_tile(const F* a, std::int64_t row_length, const double* w, std::int64_t stride, int d, double* out,
              int k) {
  Lanes sums[rows][atoms] = {};
  int j = 0;
  for (; j + kLanes <= d; j += kLanes) {
    Lanes mine[rows];
    for (int r = 0; r < rows; ++r) mine[r] = widened(a + r * row_length + j);
    for (int c = 0; c < atoms; ++c) {
      const Lanes atom = widened(w + c * stride + j);
      for (int r = 0; r < rows; ++r) sums[r][c] += mine[r] * atom;
    }
  }
  if (j < d)
    for (int r = 0; r < rows; ++r) {
      const Lanes mine = widened(a + r * row_length + j, d - j);
      for (int c = 0; c < atoms; ++c) sums[r][c] += mine * widened(w + c * stride + j);
    }
  for (int r = 0; r < rows; ++r)
    for (int c = 0; c < atoms; ++c) out[r * k + c] += core::DIPTYCH_ISA::sum_of(sums[r][c]);
}

template <int rows, class F>
void add_row_tile(const F* a, std::int64_t row_length, const double* w, std::int64_t stride, int atoms, int d,
                  double* out, int k) {
  switch (atoms) {
    case 1: return add_tile<rows, 1>(a, row_length, w, stride, d, out, k);
    case 2: return add_tile<rows, 2>(a, row_length, w, stride, d, out, k);
    case 3: return add_tile<rows, 3>(a, row_length, w, stride, d, out, k);
    case 4: return add_tile<rows, 4>(a, row_length, w, stride, d, out, k);
    default: return add_tile<rows, kTileAtoms>(a, row_length, w, stride, d, out, k);
  }
}

// a (rows, d), w (k, stride) with zeros past d -> out (rows, k).
template <class F>
void wide_products(const F* a, std::int64_t rows, const double* w, int k, std::int64_t d, std::int64_t stride,
                   double* out) {
  for (std::int64_t i = 0; i < rows * k; ++i) out[i] = 0;
  for (std::int64_t column = 0; column < d; column += kTileColumns) {
    const int columns = static_cast<int>(d - column < kTileColumns ? d - column : kTileColumns);
    for (int atom = 0; atom < k; atom += kTileAtoms) {
      const int atoms = k - atom < kTileAtoms ? k - atom : kTileAtoms;
      const double* panel = w + atom * stride + column;
      std::int64_t row = 0;
      for (; row + kTileRows <= rows; row += kTileRows)
        add_row_tile<kTileRows>(a + row * d + column, d, panel, stride, atoms, columns, out + row * k + atom,
                                k);
      for (; row < rows; ++row)
        add_row_tile<1>(a + row * d + column, d, panel, stride, atoms, columns, out + row * k + atom, k);
    }
  }
}

}  // namespace diptych::cpu::DIPTYCH_ISA
