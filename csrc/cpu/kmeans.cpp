#include "../core/lloyd.hpp"
#include "buffer.hpp"
#include "kernels.hpp"

namespace diptych::cpu::DIPTYCH_ISA {

void kmeans(const double* x, std::int64_t n, int d, int k, int restarts, int max_iter, double threshold,
            double* centers, std::int64_t* labels, double* inertia, int threads) {
  using namespace core::DIPTYCH_ISA;
  const std::int64_t stride = (n + kItemLanes - 1) / kItemLanes * kItemLanes;
  const Buffer<double> columns(static_cast<std::size_t>(stride) * d);
  for (int i = 0; i < d; ++i)
    for (std::int64_t item = 0; item < stride; ++item) columns[i * stride + item] = item < n ? x[item * d + i] : 0;
  const Items items{x, columns.data(), n, stride, d};
  const std::size_t each = static_cast<std::size_t>(k) * d;
  const Buffer<double> sums(each * restarts);
  const Buffer<std::int64_t> counts(static_cast<std::size_t>(k) * restarts);
#pragma omp parallel for num_threads(threads) schedule(dynamic, 1)
  for (int r = 0; r < restarts; ++r)
    inertia[r] = lloyd(items, k, max_iter, threshold, centers + each * r, labels + r * n, sums.data() + each * r,
                       counts.data() + static_cast<std::size_t>(k) * r);
}

}  // namespace diptych::cpu::DIPTYCH_ISA
