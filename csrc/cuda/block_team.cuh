// The threads of a block as a team (see core/team.hpp). Their number is a power of two.
#pragma once

#include <cstdint>

#include "../core/macros.hpp"

namespace diptych::cuda {

// The core's functions compile for the host, too, where nothing calls them with this team.
struct BlockTeam {
  DIPTYCH_HD int rank() const {
#if defined(__CUDA_ARCH__)
    return static_cast<int>(threadIdx.x);
#else
    return 0;
#endif
  }
  DIPTYCH_HD int size() const {
#if defined(__CUDA_ARCH__)
    return static_cast<int>(blockDim.x);
#else
    return 1;
#endif
  }
  DIPTYCH_HD void sync() const {
#if defined(__CUDA_ARCH__)
    __syncthreads();
#endif
  }
  DIPTYCH_HD static std::uint32_t add([[maybe_unused]] std::uint32_t* number,
                                      [[maybe_unused]] std::uint32_t value) {
#if defined(__CUDA_ARCH__)
    return atomicAdd(number, value);
#else
    return 0;
#endif
  }
};

}  // namespace diptych::cuda
