#include "thin_rows.hpp"

namespace diptych::cpu::DIPTYCH_ISA {

template <class F>
void block_product(const F* matrix, const F* x, std::int64_t rows, std::int64_t n, F* out, int threads) {
  const std::int64_t groups = rows / kRows<F>;
#pragma omp parallel for num_threads(rows * n < kWorthThreads ? 1 : threads) schedule(static)
  for (std::int64_t group = 0; group < groups; ++group)
    multiply_rows<kRows<F>>(matrix + group * kRows<F> * n, n, 1, x, n, out + group * kRows<F> * kBlockWidth);
  for (std::int64_t row = groups * kRows<F>; row < rows; ++row)
    multiply_rows<1>(matrix + row * n, n, 1, x, n, out + row * kBlockWidth);
}

template void block_product(const float*, const float*, std::int64_t, std::int64_t, float*, int);
template void block_product(const double*, const double*, std::int64_t, std::int64_t, double*, int);

}  // namespace diptych::cpu::DIPTYCH_ISA
