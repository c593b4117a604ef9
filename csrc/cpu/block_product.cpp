#include "kernels.hpp"
#include "registers.hpp"

namespace diptych::cpu::DIPTYCH_ISA {

namespace {

constexpr int kSums = kVectorBytes == 64 ? 16 : 8;  // registers to spend on sums

// Registers that hold kBlockWidth numbers, and rows of the matrix whose sums then fit at once.
template <class F>
constexpr int kParts = kBlockWidth * sizeof(F) / kVectorBytes;
template <class F>
constexpr int kRows = kSums / kParts<F> < 8 ? kSums / kParts<F> : 8;

// out[r, :] = sum_j matrix[r, j] x[j, :] for `rows` rows. One read of x, which stays in the level-2
// cache, serves all of them, and the matrix is read as `rows` sequential streams.
// (Registers are moved one by one: an array moved as a whole stays in memory.)
template <int rows, class F>
void multiply_rows(const F* matrix, const F* x, std::int64_t n, F* out) {
  constexpr int parts = kParts<F>, lanes = kVectorBytes / sizeof(F);
  Register<F> sums[rows][parts] = {};
  for (std::int64_t j = 0; j < n; ++j)
    for (int p = 0; p < parts; ++p) {
      Register<F> part;
      __builtin_memcpy(&part, x + j * kBlockWidth + p * lanes, sizeof part);
      for (int r = 0; r < rows; ++r) sums[r][p] += matrix[r * n + j] * part;
    }
  for (int r = 0; r < rows; ++r)
    for (int p = 0; p < parts; ++p)
      __builtin_memcpy(out + r * kBlockWidth + p * lanes, &sums[r][p], sizeof(Register<F>));
}

}  // namespace

template <class F>
void block_product(const F* matrix, const F* x, std::int64_t rows, std::int64_t n, F* out, int threads) {
  const std::int64_t groups = rows / kRows<F>;
#pragma omp parallel for num_threads(rows * n < kWorthThreads ? 1 : threads) schedule(static)
  for (std::int64_t group = 0; group < groups; ++group)
    multiply_rows<kRows<F>>(matrix + group * kRows<F> * n, x, n, out + group * kRows<F> * kBlockWidth);
  for (std::int64_t row = groups * kRows<F>; row < rows; ++row)
    multiply_rows<1>(matrix + row * n, x, n, out + row * kBlockWidth);
}

template void block_product(const float*, const float*, std::int64_t, std::int64_t, float*, int);
template void block_product(const double*, const double*, std::int64_t, std::int64_t, double*, int);

}  // namespace diptych::cpu::DIPTYCH_ISA
