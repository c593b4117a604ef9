// One block per row of the affinity, which it reads coalesced: 4 n^2 bytes for float32, and the labels, which
// stay in the caches.
#include "../core/knn_team.hpp"
#include "block_team.cuh"
#include "ops.hpp"

namespace diptych::cuda {

namespace {

using namespace core::DIPTYCH_ISA;

constexpr int kThreads = 256;

template <class F>
__global__ void __launch_bounds__(kThreads)
    knn_kernel(const F* affinity, const std::int64_t* labels, std::int64_t n, int k, F* scores,
               std::int64_t* neighbors) {
  __shared__ Candidate<F> partial[kThreads];
  const std::int64_t row = blockIdx.x;
  const F sum = team_knn_of_row(BlockTeam(), affinity + row * n, labels, n, row, k, partial,
                                neighbors + row * k);
  if (threadIdx.x == 0) scores[row] = sum;
}

}  // namespace

template <class F>
void knn(const F* affinity, const std::int64_t* labels, std::int64_t n, int k, F* scores,
         std::int64_t* neighbors, cudaStream_t stream) {
  if (n == 0) return;
  knn_kernel<<<static_cast<unsigned>(n), kThreads, 0, stream>>>(affinity, labels, n, k, scores, neighbors);
  check(cudaGetLastError(), "knn_affinity");
}

template void knn(const float*, const std::int64_t*, std::int64_t, int, float*, std::int64_t*, cudaStream_t);
template void knn(const double*, const std::int64_t*, std::int64_t, int, double*, std::int64_t*,
                  cudaStream_t);

}  // namespace diptych::cuda
