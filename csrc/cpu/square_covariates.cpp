#include "../core/squares.hpp"
#include "kernels.hpp"

namespace diptych::cpu::DIPTYCH_ISA {

std::int64_t first_misplaced(const core::Square* squares, std::int64_t count, std::int32_t size, int threads) {
  std::int64_t first = count;
#pragma omp parallel for num_threads(count < kWorthThreads ? 1 : threads) schedule(static) reduction(min : first)
  for (std::int64_t i = 0; i < count; ++i)
    if (!core::DIPTYCH_ISA::is_within(squares[i], size) && i < first) first = i;
  return first < count ? first : -1;
}

void square_covariates(const core::Square* squares, std::int64_t n, std::int64_t k, std::int32_t size,
                       double* out, int threads) {
#pragma omp parallel for num_threads(n * k * 32 < kWorthThreads ? 1 : threads) schedule(static)
  for (std::int64_t i = 0; i < n; ++i)
    core::DIPTYCH_ISA::covariates_of(squares + i * k, k, size, out + 3 * i);
}

}  // namespace diptych::cpu::DIPTYCH_ISA
