#include "../core/place_squares.hpp"

#include "kernels.hpp"

namespace diptych::cpu::DIPTYCH_ISA {

void place_squares(const std::int32_t* counts, const std::int64_t* index, std::int64_t n, std::int64_t k,
                   const core::SceneLaw& law, core::Square* squares, std::int32_t* placed, int threads) {
  // A square costs some hundred steps, and crowded scenes cost far more than others.
#pragma omp parallel for num_threads(n * k * 100 < kWorthThreads ? 1 : threads) schedule(dynamic, 8)
  for (std::int64_t i = 0; i < n; ++i)
    placed[i] = core::DIPTYCH_ISA::place_scene(law, static_cast<std::uint64_t>(index[i]), counts[i], k,
                                               squares + i * k);
}

}  // namespace diptych::cpu::DIPTYCH_ISA
