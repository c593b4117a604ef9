// One thread per scene: its squares wait for each other, and are few. They are kept in the result, where the
// first cache holds them.
#include "../core/place_squares.hpp"
#include "ops.hpp"

namespace diptych::cuda {

namespace {

// Small blocks, so that a batch of some hundred scenes spreads over the multiprocessors.
constexpr int kThreads = 32;

__global__ void __launch_bounds__(kThreads)
    place_kernel(const std::int32_t* counts, const std::int64_t* index, std::int64_t n, std::int64_t k,
                 core::SceneLaw law, core::Square* squares, std::int32_t* placed) {
  const std::int64_t scene = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (scene < n)
    placed[scene] = core::DIPTYCH_ISA::place_scene(law, static_cast<std::uint64_t>(index[scene]), counts[scene],
                                                   k, squares + scene * k);
}

}  // namespace

void place_squares(const std::int32_t* counts, const std::int64_t* index, std::int64_t n, std::int64_t k,
                   const core::SceneLaw& law, core::Square* squares, std::int32_t* placed,
                   cudaStream_t stream) {
  if (n == 0) return;
  place_kernel<<<static_cast<unsigned>((n + kThreads - 1) / kThreads), kThreads, 0, stream>>>(
      counts, index, n, k, law, squares, placed);
  check(cudaGetLastError(), "place_squares");
}

}  // namespace diptych::cuda
