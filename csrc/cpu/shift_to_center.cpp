#include "../core/center.hpp"
#include "kernels.hpp"

namespace diptych::cpu::DIPTYCH_ISA {

namespace {

constexpr int kColumns = 16;

// The centres of `count` neighboring columns: their sums are made in the order of the rows.
template <class F>
void centers_of(const F* x, std::int64_t n, std::int64_t d, int count, double* centers) {
  double sum[kColumns] = {}, squares[kColumns] = {};
  bool whole[kColumns];
  for (bool& flag : whole) flag = true;
  for (std::int64_t row = 0; row < n; ++row)
    for (int c = 0; c < count; ++c) {
      const F value = x[row * d + c];
      sum[c] += value;
      whole[c] &= std::rint(value) == value;
    }
  for (int c = 0; c < count; ++c) sum[c] /= static_cast<double>(n);
  for (std::int64_t row = 0; row < n; ++row)
    for (int c = 0; c < count; ++c) {
      const double gap = x[row * d + c] - sum[c];
      squares[c] += gap * gap;
    }
  for (int c = 0; c < count; ++c)
    centers[c] = core::DIPTYCH_ISA::center_of_column(sum[c], std::sqrt(squares[c] / static_cast<double>(n)),
                                                     whole[c], x[c]);
}

}  // namespace

template <class F>
void shift_to_center(const F* x, std::int64_t n, std::int64_t d, F* out, int threads) {
  const std::int64_t blocks = (d + kColumns - 1) / kColumns;
#pragma omp parallel for num_threads(n * d < kWorthThreads ? 1 : threads) schedule(static)
  for (std::int64_t block = 0; block < blocks; ++block) {
    const std::int64_t first = block * kColumns;
    const int count = static_cast<int>(first + kColumns < d ? kColumns : d - first);
    double centers[kColumns];
    centers_of(x + first, n, d, count, centers);
    for (std::int64_t row = 0; row < n; ++row)
      for (int c = 0; c < count; ++c)
        out[row * d + first + c] = x[row * d + first + c] - static_cast<F>(centers[c]);
  }
}

template void shift_to_center(const float*, std::int64_t, std::int64_t, float*, int);
template void shift_to_center(const double*, std::int64_t, std::int64_t, double*, int);

}  // namespace diptych::cpu::DIPTYCH_ISA
