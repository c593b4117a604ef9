#include <cmath>

#include "../core/direct_distance.hpp"
#include "kernels.hpp"

namespace diptych::cpu::DIPTYCH_ISA {

template <class F>
void direct_distances(const F* x, const F* y, std::int64_t n, std::int64_t m, std::int64_t d, bool squared,
                      F* out, int threads) {
#pragma omp parallel for num_threads(threads) schedule(static)
  for (std::int64_t i = 0; i < n; ++i) {
    F* row = out + i * m;
    for (std::int64_t j = 0; j < m; ++j)
      row[j] = core::DIPTYCH_ISA::squared_distance_direct(x + i * d, y + j * d, d);
    if (!squared)
      for (std::int64_t j = 0; j < m; ++j) row[j] = std::sqrt(row[j]);
  }
}

template void direct_distances(const float*, const float*, std::int64_t, std::int64_t, std::int64_t, bool, float*,
                               int);
template void direct_distances(const double*, const double*, std::int64_t, std::int64_t, std::int64_t, bool,
                               double*, int);

}  // namespace diptych::cpu::DIPTYCH_ISA
