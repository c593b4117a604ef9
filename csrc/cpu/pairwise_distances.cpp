#include <cmath>

#include "../core/distance.hpp"
#include "kernels.hpp"

namespace diptych::cpu::DIPTYCH_ISA {

template <class F>
void distances(const F* products, std::int64_t stride, const F* norms_x, const F* norms_y,
               std::int64_t rows, std::int64_t n, bool squared, F* out, int threads) {
#pragma omp parallel for num_threads(rows * n < kWorthThreads ? 1 : threads) schedule(static)
  for (std::int64_t i = 0; i < rows; ++i) {
    const F* product = products + i * stride;
    const F norm_x = norms_x[i];
    F* row = out + i * n;
    if (squared) {
#pragma omp simd
      for (std::int64_t j = 0; j < n; ++j)
        row[j] = core::DIPTYCH_ISA::squared_distance(norm_x, norms_y[j], product[j]);
    } else {
#pragma omp simd
      for (std::int64_t j = 0; j < n; ++j)
        row[j] = std::sqrt(core::DIPTYCH_ISA::squared_distance(norm_x, norms_y[j], product[j]));
    }
  }
}

template void distances(const float*, std::int64_t, const float*, const float*, std::int64_t, std::int64_t,
                        bool, float*, int);
template void distances(const double*, std::int64_t, const double*, const double*, std::int64_t,
                        std::int64_t, bool, double*, int);

}  // namespace diptych::cpu::DIPTYCH_ISA
