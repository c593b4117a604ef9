// Non-negative least squares on the device; see ops.hpp for what all operations have in common.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>

namespace diptych::cuda {

// Bytes of workspace that `nnls` needs for n rows of d columns and k atoms.
std::size_t nnls_workspace(std::int64_t n, std::int64_t d, int k);

// a (n, d), w (k, d) -> coefficients out (n, k) and report (2,); limits (3,), host memory. As on the CPU, see
// cpu/dispatch.hpp.
template <class F>
void nnls(const F* a, const F* w, std::int64_t n, std::int64_t d, int k, const int* limits, F* out,
          std::int64_t* report, void* workspace, cudaStream_t stream);

}  // namespace diptych::cuda
