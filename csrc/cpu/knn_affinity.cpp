#include "../core/knn_row.hpp"
#include "kernels.hpp"

namespace diptych::cpu::DIPTYCH_ISA {

template <class F>
void knn(const F* affinity, const std::int64_t* labels, std::int64_t n, std::int64_t first, std::int64_t rows,
         int k, F* scores, std::int64_t* neighbors, int threads) {
#pragma omp parallel for num_threads(threads) schedule(dynamic, 16)
  for (std::int64_t i = 0; i < rows; ++i) {
    F best[kMaxNeighbors];
    std::int64_t* row = neighbors + i * k;
    const int found = core::DIPTYCH_ISA::knn_of_row(affinity + i * n, labels, n, first + i, k, best, row);
    F sum = 0;
    for (int place = 0; place < found; ++place) sum += best[place];
    for (int place = found; place < k; ++place) row[place] = -1;
    scores[i] = sum;
  }
}

template void knn(const float*, const std::int64_t*, std::int64_t, std::int64_t, std::int64_t, int, float*,
                  std::int64_t*, int);
template void knn(const double*, const std::int64_t*, std::int64_t, std::int64_t, std::int64_t, int, double*,
                  std::int64_t*, int);

}  // namespace diptych::cpu::DIPTYCH_ISA
