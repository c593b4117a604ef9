// The innermost loop of products with a thin matrix: a few sums of kBlockWidth numbers, all in registers.
#pragma once

#include "kernels.hpp"
#include "registers.hpp"

namespace diptych::cpu::DIPTYCH_ISA {

constexpr int kSums = kVectorBytes == 64 ? 16 : 8;  // registers to spend on sums

// Registers that hold kBlockWidth numbers, and rows of the matrix whose sums then fit at once.
template <class F>
constexpr int kParts = kBlockWidth * sizeof(F) / kVectorBytes;
template <class F>
constexpr int kRows = kSums / kParts<F> < 8 ? kSums / kParts<F> : 8;

// out[r, :] (+)= sum_j matrix[r, j] x[j, :] for `rows` rows, whose entries are `stride` apart and whose
// columns are `step` apart. One read of x, which stays in the level-2 cache, serves all rows.
// (Registers are moved one by one: an array moved as a whole stays in memory. Inlined by force, so that a
// stride and a step that a caller knows become part of the addresses.)
template <int rows, bool add = false, class F>
[[gnu::always_inline]] inline void multiply_rows(const F* matrix, std::int64_t stride, std::int64_t step, const F* x, std::int64_t n,
                          F* out) {
  constexpr int parts = kParts<F>, lanes = kVectorBytes / sizeof(F);
  Register<F> sums[rows][parts] = {};
  for (std::int64_t j = 0; j < n; ++j)
    for (int p = 0; p < parts; ++p) {
      Register<F> part;
      __builtin_memcpy(&part, x + j * kBlockWidth + p * lanes, sizeof part);
      for (int r = 0; r < rows; ++r) sums[r][p] += matrix[r * stride + j * step] * part;
    }
  for (int r = 0; r < rows; ++r)
    for (int p = 0; p < parts; ++p) {
      F* to = out + r * kBlockWidth + p * lanes;
      Register<F> sum = sums[r][p];
      if (add) {
        Register<F> before;
        __builtin_memcpy(&before, to, sizeof before);
        sum += before;
      }
      __builtin_memcpy(to, &sum, sizeof sum);
    }
}

}  // namespace diptych::cpu::DIPTYCH_ISA
