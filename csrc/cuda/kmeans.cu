// One block per restart runs the whole iteration: nothing between its steps waits for the host.
#include <stdexcept>

#include "../core/lloyd_team.hpp"
#include "block_team.cuh"
#include "ops.hpp"

namespace diptych::cuda {

namespace {

using namespace core::DIPTYCH_ISA;

constexpr int kThreads = 512;

__global__ void __launch_bounds__(kThreads)
    kmeans_kernel(const double* x, std::int64_t n, int d, int k, int max_iter, double threshold,
                  double* centers, std::int64_t* labels, double* inertia, double* sums) {
  __shared__ Candidate<double> partial[kThreads];
  const std::int64_t restart = blockIdx.x;
  const double found = team_lloyd(BlockTeam(), x, n, d, k, max_iter, threshold, centers + restart * k * d,
                                  labels + restart * n, sums + restart * lloyd_sums(kThreads, d, k), partial);
  if (threadIdx.x == 0) inertia[restart] = found;
}

}  // namespace

std::size_t kmeans_workspace(int d, int k, int restarts) {
  return sizeof(double) * lloyd_sums(kThreads, d, k) * restarts;
}

void kmeans(const double* x, std::int64_t n, int d, int k, int restarts, int max_iter, double threshold,
            double* centers, std::int64_t* labels, double* inertia, void* workspace,
            std::size_t workspace_bytes, cudaStream_t stream) {
  if (n == 0 || restarts == 0) return;
  if (kmeans_workspace(d, k, restarts) > workspace_bytes)
    throw std::runtime_error("kmeans: workspace too small");
  kmeans_kernel<<<restarts, kThreads, 0, stream>>>(x, n, d, k, max_iter, threshold, centers, labels, inertia,
                                                   static_cast<double*>(workspace));
  check(cudaGetLastError(), "kmeans");
}

}  // namespace diptych::cuda
