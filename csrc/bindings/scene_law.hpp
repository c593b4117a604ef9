// The law of a scene from the arguments that Python gives, for the CPU module and the CUDA module.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <utility>

#include "../core/scene.hpp"

namespace diptych::bindings {

using Range = std::pair<std::int32_t, std::int32_t>;

inline core::SceneLaw scene_law(std::int32_t size, Range sides, std::int32_t side_jitter, Range contrasts,
                                std::int32_t contrast_jitter, std::int32_t clearance, std::int32_t attempts,
                                std::uint64_t seed) {
  if (sides.first < 1 || sides.second < sides.first || side_jitter < 0 || sides.second + side_jitter > size ||
      size > core::kMaxSceneSize)
    throw std::invalid_argument("sides: expected squares that fit");
  return {size,           sides.first,      sides.second,    side_jitter, contrasts.first,
          contrasts.second, contrast_jitter, clearance, attempts,    seed};
}

}  // namespace diptych::bindings
