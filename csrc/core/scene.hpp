// Scenes of squares and the law they are drawn by, as they are handed from function to function.
#pragma once

#include <cstdint>

namespace diptych::core {

// Contrast is counted in steps of 1 / kFullContrast.
constexpr std::int32_t kFullContrast = 65535;

// The largest side of a scene in pixels, and the most squares on it: what scratch memory is made for.
constexpr std::int32_t kMaxSceneSize = 4096, kMaxSquares = 1024;

// The top left pixel, the pixels of a side, and the contrast; -1 throughout where there is none.
struct Square {
  std::int32_t x, y, side, contrast;
};

// How scenes are drawn. A scene's side and contrast are uniform between the least and the most; each of its
// squares deviates from them by a whole number of at most the jitter, as likely up as down.
struct SceneLaw {
  std::int32_t size;
  std::int32_t least_side, most_side, side_jitter;
  std::int32_t least_contrast, most_contrast, contrast_jitter;
  std::int32_t clearance;  // empty pixels between two squares, in x or in y
  std::int32_t attempts;   // at a scene
  std::uint64_t seed;
};

}  // namespace diptych::core
