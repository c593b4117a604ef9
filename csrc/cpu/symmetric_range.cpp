#include <cmath>
#include <limits>

#include "kernels.hpp"

namespace diptych::cpu::DIPTYCH_ISA {

namespace {

// 64 x 64: a tile and the one across the diagonal stay in the level-1 cache.
constexpr std::int64_t kTile = 64;

template <class F>
struct Range {
  F low = std::numeric_limits<F>::infinity(), high = -std::numeric_limits<F>::infinity(), gap = 0;
  F poison = 0;  // x - x summed: NaN as soon as a number is NaN or Inf
};

// Takes in a tile and its mirror image, of which `mirror` has room for the transposed copy.
template <class F>
void widen(const F* tile, const F* across, std::int64_t n, int rows, int columns, F* mirror, Range<F>& range) {
  for (int c = 0; c < columns; ++c)
    for (int r = 0; r < rows; ++r) mirror[r * kTile + c] = across[c * n + r];
  F low = range.low, high = range.high, gap = range.gap, poison = range.poison;
  for (int r = 0; r < rows; ++r) {
    const F *own = tile + r * n, *other = mirror + r * kTile;
#pragma omp simd reduction(min : low) reduction(max : high, gap) reduction(+ : poison)
    for (int c = 0; c < columns; ++c) {
      const F a = own[c], b = other[c];
      low = a < low ? a : low;
      low = b < low ? b : low;
      high = a > high ? a : high;
      high = b > high ? b : high;
      const F difference = std::fabs(a - b);
      gap = difference > gap ? difference : gap;
      poison += (a - a) + (b - b);
    }
  }
  range = {low, high, gap, poison};
}

}  // namespace

template <class F>
void symmetric_range(const F* matrix, std::int64_t n, F* bounds, int threads) {
  F low = std::numeric_limits<F>::infinity(), high = -low, gap = 0, poison = 0;
  if (n * n < kWorthThreads) threads = 1;
  const std::int64_t tiles = (n + kTile - 1) / kTile;
#pragma omp parallel for num_threads(threads) schedule(dynamic, 1) reduction(min : low) \
    reduction(max : high, gap) reduction(+ : poison)
  for (std::int64_t i = 0; i < tiles; ++i) {
    F mirror[kTile * kTile];
    Range<F> range;
    const int rows = static_cast<int>(i == tiles - 1 ? n - i * kTile : kTile);
    for (std::int64_t j = i; j < tiles; ++j) {
      const int columns = static_cast<int>(j == tiles - 1 ? n - j * kTile : kTile);
      widen(matrix + i * kTile * n + j * kTile, matrix + j * kTile * n + i * kTile, n, rows, columns, mirror,
            range);
    }
    low = range.low < low ? range.low : low;
    high = range.high > high ? range.high : high;
    gap = range.gap > gap ? range.gap : gap;
    poison += range.poison;
  }
  bounds[0] = low;
  bounds[1] = high + poison;
  bounds[2] = gap;
}

template void symmetric_range(const float*, std::int64_t, float*, int);
template void symmetric_range(const double*, std::int64_t, double*, int);

}  // namespace diptych::cpu::DIPTYCH_ISA
