// Scenes of squares: where they stand, what a pixel of them shows, and what can be measured of them.
#pragma once

#include <cstdint>

#include "macros.hpp"
#include "scene.hpp"

namespace diptych::core::DIPTYCH_ISA {

DIPTYCH_HD inline bool is_there(const Square& square) { return square.side > 0; }

// Whether it is a square that lies within the scene, or none.
DIPTYCH_HD inline bool is_within(const Square& square, std::int32_t size) {
  if (!is_there(square)) return square.x == -1 && square.y == -1 && square.side == -1 && square.contrast == -1;
  return square.side <= size && square.x >= 0 && square.x <= size - square.side && square.y >= 0 &&
         square.y <= size - square.side && square.contrast >= 1 && square.contrast <= kFullContrast;
}

// Whether it is a square that lies within the scene.
DIPTYCH_HD inline bool is_shown(const Square& square, std::int32_t size) {
  return is_there(square) && is_within(square, size);
}

// What a pixel of some contrast holds: 0 to 1, or 0 to 255, correctly rounded.
template <class P>
DIPTYCH_HD inline P shade(std::int32_t contrast);
template <>
DIPTYCH_HD inline float shade(std::int32_t contrast) {
  return static_cast<float>(contrast) / static_cast<float>(kFullContrast);
}
template <>
DIPTYCH_HD inline std::uint8_t shade(std::int32_t contrast) {
  constexpr std::int32_t step = kFullContrast / 255;
  return static_cast<std::uint8_t>((contrast + step / 2) / step);
}

// `width` pixels of a row from (x, y) on, of a scene of the first `count` squares: the later one shows.
template <class P, int width>
DIPTYCH_HD inline void draw_run(const Square* squares, int count, std::int32_t x, std::int32_t y, P* pixels) {
  for (int i = 0; i < width; ++i) pixels[i] = P(0);
  for (int j = 0; j < count; ++j) {
    const Square& square = squares[j];
    if (y < square.y || y >= square.y + square.side) continue;
    const P value = shade<P>(square.contrast);
    for (int i = 0; i < width; ++i)
      pixels[i] = x + i >= square.x && x + i < square.x + square.side ? value : pixels[i];
  }
}

struct Corner {
  std::int64_t x, y;
};

// Corner 0 to 3 of a square, at the outer edges of its pixels.
DIPTYCH_HD inline Corner corner_of(const Square& square, int which) {
  return {square.x + static_cast<std::int64_t>(which & 1 ? square.side : 0),
          square.y + static_cast<std::int64_t>(which & 2 ? square.side : 0)};
}

DIPTYCH_HD inline std::int64_t cross(const Corner& a, const Corner& b) { return a.x * b.y - a.y * b.x; }

// Twice the area of the convex hull of k squares, of those that lie within the scene: a tape that is wound around
// them from corner to corner (Jarvis 1973). O(k h) time for h corners of the hull, no memory, exact.
DIPTYCH_HD inline std::int64_t doubled_hull_area(const Square* squares, std::int64_t k, std::int32_t size) {
  Corner start{-1, -1};
  for (std::int64_t j = 0; j < k; ++j) {
    if (!is_shown(squares[j], size)) continue;
    const Corner corner = corner_of(squares[j], 0);
    if (start.x < 0 || corner.y < start.y || (corner.y == start.y && corner.x < start.x)) start = corner;
  }
  if (start.x < 0) return 0;
  std::int64_t doubled = 0;
  Corner from = start;
  do {
    Corner next = from;
    for (std::int64_t j = 0; j < k; ++j) {
      if (!is_shown(squares[j], size)) continue;
      for (int which = 0; which < 4; ++which) {
        const Corner corner = corner_of(squares[j], which);
        const Corner to{corner.x - from.x, corner.y - from.y}, held{next.x - from.x, next.y - from.y};
        const std::int64_t turn = cross(held, to);
        const bool farther = to.x * to.x + to.y * to.y > held.x * held.x + held.y * held.y;
        if (turn < 0 || (turn == 0 && farther)) next = corner;
      }
    }
    doubled += cross(from, next);
    from = next;
  } while (from.x != start.x || from.y != start.y);
  return doubled;
}

// The mean intensity of the pixels (0 to 1), the squares' summed area and the area of their convex hull, both in
// pixels: three numbers.
DIPTYCH_HD inline void covariates_of(const Square* squares, std::int64_t k, std::int32_t size, double* out) {
  std::int64_t area = 0, light = 0;
  for (std::int64_t j = 0; j < k; ++j) {
    if (!is_shown(squares[j], size)) continue;
    const std::int64_t pixels = static_cast<std::int64_t>(squares[j].side) * squares[j].side;
    area += pixels;
    light += pixels * squares[j].contrast;
  }
  const std::int64_t full = static_cast<std::int64_t>(size) * size * kFullContrast;
  out[0] = static_cast<double>(light) / static_cast<double>(full);
  out[1] = static_cast<double>(area);
  out[2] = static_cast<double>(doubled_hull_area(squares, k, size)) / 2;
}

}  // namespace diptych::core::DIPTYCH_ISA
