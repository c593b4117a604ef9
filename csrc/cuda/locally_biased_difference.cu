#include <stdexcept>
#include <string>
#include <type_traits>

#include "../core/difference.hpp"
#include "ops.hpp"

namespace diptych::cuda {

void check(cudaError_t status, const char* what) {
  if (status != cudaSuccess)
    throw std::runtime_error(std::string(what) + ": " + cudaGetErrorString(status));
}

namespace {

template <class T, class F>
__global__ void biased_kernel(const T* a, const T* b, std::int64_t count, F gamma, F offset, F* out) {
  const std::int64_t stride = std::int64_t(gridDim.x) * blockDim.x;
  for (std::int64_t i = std::int64_t(blockIdx.x) * blockDim.x + threadIdx.x; i < count; i += stride)
    out[i] = core::DIPTYCH_ISA::locally_biased<std::is_integral_v<T>>(static_cast<F>(a[i]),
                                                                     static_cast<F>(b[i]), gamma, offset);
}

}  // namespace

template <class T, class F>
void biased(const T* a, const T* b, std::int64_t count, double gamma, double offset, F* out,
            cudaStream_t stream) {
  if (count == 0) return;
  const std::int64_t block = 256, most = 1 << 20;
  const std::int64_t blocks = (count + block - 1) / block;
  biased_kernel<<<static_cast<unsigned>(blocks < most ? blocks : most), block, 0, stream>>>(
      a, b, count, core::DIPTYCH_ISA::sensitivity<F>(gamma), static_cast<F>(offset), out);
  check(cudaGetLastError(), "locally_biased_difference");
}

template void biased(const std::int32_t*, const std::int32_t*, std::int64_t, double, double, float*,
                     cudaStream_t);
template void biased(const float*, const float*, std::int64_t, double, double, float*, cudaStream_t);
template void biased(const double*, const double*, std::int64_t, double, double, double*, cudaStream_t);

}  // namespace diptych::cuda
