#include <cstdlib>
#include <new>

#include "../core/lloyd.hpp"
#include "kernels.hpp"

namespace diptych::cpu::DIPTYCH_ISA {

void kmeans(const double* x, std::int64_t n, int d, int k, int restarts, int max_iter, double threshold,
            double* centers, std::int64_t* labels, double* inertia, int threads) {
  const std::size_t each = static_cast<std::size_t>(k) * (d + 1);
  auto* memory = static_cast<double*>(std::malloc(sizeof(double) * each * restarts));
  if (memory == nullptr) throw std::bad_alloc();
#pragma omp parallel for num_threads(threads) schedule(dynamic, 1)
  for (int r = 0; r < restarts; ++r) {
    double* sums = memory + each * r;
    auto* counts = reinterpret_cast<std::int64_t*>(sums + static_cast<std::size_t>(k) * d);
    inertia[r] = core::DIPTYCH_ISA::lloyd(x, n, d, k, max_iter, threshold,
                                          centers + static_cast<std::size_t>(r) * k * d, labels + r * n, sums,
                                          counts);
  }
  std::free(memory);
}

}  // namespace diptych::cpu::DIPTYCH_ISA
