#include "../core/unit_row.hpp"

#include "kernels.hpp"

namespace diptych::cpu::DIPTYCH_ISA {

template <class E, class F>
void unit_rows(const E* x, std::int64_t n, std::int64_t d, F* out, int threads) {
#pragma omp parallel for num_threads(n * d < kWorthThreads ? 1 : threads) schedule(static)
  for (std::int64_t i = 0; i < n; ++i) core::DIPTYCH_ISA::unit_row(x + i * d, d, out + i * d);
}

template <class F>
std::int64_t first_zero_row(const F* x, std::int64_t n, std::int64_t d) {
  for (std::int64_t i = 0; i < n; ++i)
    if (core::DIPTYCH_ISA::is_zero_row(x + i * d, d)) return i;
  return -1;
}

template void unit_rows(const float*, std::int64_t, std::int64_t, float*, int);
template void unit_rows(const float*, std::int64_t, std::int64_t, double*, int);
template void unit_rows(const double*, std::int64_t, std::int64_t, double*, int);

template std::int64_t first_zero_row(const float*, std::int64_t, std::int64_t);
template std::int64_t first_zero_row(const double*, std::int64_t, std::int64_t);

}  // namespace diptych::cpu::DIPTYCH_ISA
