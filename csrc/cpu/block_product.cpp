#include "kernels.hpp"

namespace diptych::cpu::DIPTYCH_ISA {

namespace {

#if defined(__AVX512F__)
constexpr int kVectorBytes = 64, kSums = 16;  // bytes of a register, and how many to spend on sums
#elif defined(__AVX__)
constexpr int kVectorBytes = 32, kSums = 8;
#else
constexpr int kVectorBytes = 16, kSums = 8;
#endif

// A register full of numbers. Two plain types: on a dependent one the attribute is ignored.
template <class F>
struct RegisterOf;
template <>
struct RegisterOf<float> {
  typedef float type __attribute__((vector_size(kVectorBytes)));
};
template <>
struct RegisterOf<double> {
  typedef double type __attribute__((vector_size(kVectorBytes)));
};

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
  using Register = typename RegisterOf<F>::type;
  constexpr int parts = kParts<F>, lanes = kVectorBytes / sizeof(F);
  Register sums[rows][parts] = {};
  for (std::int64_t j = 0; j < n; ++j)
    for (int p = 0; p < parts; ++p) {
      Register part;
      __builtin_memcpy(&part, x + j * kBlockWidth + p * lanes, sizeof part);
      for (int r = 0; r < rows; ++r) sums[r][p] += matrix[r * n + j] * part;
    }
  for (int r = 0; r < rows; ++r)
    for (int p = 0; p < parts; ++p)
      __builtin_memcpy(out + r * kBlockWidth + p * lanes, &sums[r][p], sizeof(Register));
}

}  // namespace

template <class F>
void block_product(const F* matrix, const F* x, std::int64_t rows, std::int64_t n, F* out, int threads) {
  const std::int64_t groups = rows / kRows<F>;
#pragma omp parallel for num_threads(threads) schedule(static)
  for (std::int64_t group = 0; group < groups; ++group)
    multiply_rows<kRows<F>>(matrix + group * kRows<F> * n, x, n, out + group * kRows<F> * kBlockWidth);
  for (std::int64_t row = groups * kRows<F>; row < rows; ++row)
    multiply_rows<1>(matrix + row * n, x, n, out + row * kBlockWidth);
}

template void block_product(const float*, const float*, std::int64_t, std::int64_t, float*, int);
template void block_product(const double*, const double*, std::int64_t, std::int64_t, double*, int);

}  // namespace diptych::cpu::DIPTYCH_ISA
