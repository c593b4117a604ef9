// One thread per scene.
#include "../core/squares.hpp"
#include "ops.hpp"

namespace diptych::cuda {

namespace {

constexpr int kThreads = 32;

__global__ void __launch_bounds__(kThreads)
    covariates_kernel(const core::Square* squares, std::int64_t n, std::int64_t k, std::int32_t size,
                      double* out) {
  const std::int64_t scene = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (scene < n) core::DIPTYCH_ISA::covariates_of(squares + scene * k, k, size, out + 3 * scene);
}

}  // namespace

void square_covariates(const core::Square* squares, std::int64_t n, std::int64_t k, std::int32_t size,
                       double* out, cudaStream_t stream) {
  if (n == 0) return;
  covariates_kernel<<<static_cast<unsigned>((n + kThreads - 1) / kThreads), kThreads, 0, stream>>>(
      squares, n, k, size, out);
  check(cudaGetLastError(), "square_covariates");
}

}  // namespace diptych::cuda
