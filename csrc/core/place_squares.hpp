// Squares at random places of a scene, one after the other, none near another: random sequential adsorption.
#pragma once

#include <cstdint>

#include "counter.hpp"
#include "squares.hpp"

namespace diptych::core::DIPTYCH_ISA {

// Places tried at random for a square before the free ones are counted. The latter costs as much as several
// hundred tries; the former is in vain where less than a hundredth of the places is free.
constexpr int kRandomTries = 256;

DIPTYCH_HD inline std::uint32_t upper(std::uint64_t bits) { return static_cast<std::uint32_t>(bits >> 32); }
DIPTYCH_HD inline std::uint32_t lower(std::uint64_t bits) { return static_cast<std::uint32_t>(bits); }

DIPTYCH_HD inline std::int32_t within(std::int32_t value, std::int32_t least, std::int32_t most) {
  return value < least ? least : value > most ? most : value;
}

// Sides and contrasts: draw 0 makes the scene's, draw 1 + j the deviation of square j.
DIPTYCH_HD inline void draw_looks(const SceneLaw& law, const CounterBits& bits, std::int32_t count,
                                  Square* squares) {
  const std::uint64_t scene = bits(0);
  const std::int32_t side = law.least_side + below(upper(scene), law.most_side - law.least_side + 1);
  const std::int32_t contrast =
      law.least_contrast + below(lower(scene), law.most_contrast - law.least_contrast + 1);
  for (std::int32_t j = 0; j < count; ++j) {
    const std::uint64_t own = bits(1 + j);
    const std::int32_t wider = below(upper(own), 2 * law.side_jitter + 1) - law.side_jitter;
    const std::int32_t brighter = below(lower(own), 2 * law.contrast_jitter + 1) - law.contrast_jitter;
    squares[j] = {-1, -1, within(side + wider, 1, law.size), within(contrast + brighter, 1, kFullContrast)};
  }
}

// The places, begin to end - 1 along one axis, at which a square of some side is too near to another.
struct Blocked {
  std::int32_t begin, end;

  DIPTYCH_HD Blocked(std::int32_t place, std::int32_t other, std::int32_t side, std::int32_t clearance)
      : begin(place - side - clearance + 1), end(place + other + clearance) {}
  DIPTYCH_HD bool holds(std::int32_t place) const { return place >= begin && place < end; }
};

// Whether a square of some side at (x, y) is clear of the first `placed` ones.
DIPTYCH_HD inline bool is_free(const Square* squares, std::int32_t placed, std::int32_t side,
                               std::int32_t clearance, std::int32_t x, std::int32_t y) {
  for (std::int32_t j = 0; j < placed; ++j) {
    const Square& other = squares[j];
    if (Blocked(other.x, other.side, side, clearance).holds(x) &&
        Blocked(other.y, other.side, side, clearance).holds(y))
      return false;
  }
  return true;
}

// Counts the places at which a square is clear of the first `placed` ones, row by row, until `wanted` of them
// are behind it: then `square` goes to the next. O(size placed runs) time for the free runs of a row.
DIPTYCH_HD inline std::int64_t walk_free(const SceneLaw& law, const Square* squares, std::int32_t placed,
                                         std::int64_t wanted, Square& square) {
  const std::int32_t places = law.size - square.side + 1;
  std::int64_t free = 0;
  for (std::int32_t y = 0; y < places; ++y) {
    for (std::int32_t x = 0; x < places;) {
      std::int32_t covered = x, next = places;
      for (std::int32_t j = 0; j < placed; ++j) {
        const Square& other = squares[j];
        if (!Blocked(other.y, other.side, square.side, law.clearance).holds(y)) continue;
        const Blocked across(other.x, other.side, square.side, law.clearance);
        if (across.holds(x)) covered = across.end > covered ? across.end : covered;
        else if (across.begin > x) next = across.begin < next ? across.begin : next;
      }
      if (covered > x) {
        x = covered;
        continue;
      }
      if (wanted >= free && wanted < free + next - x) {
        square.x = x + static_cast<std::int32_t>(wanted - free);
        square.y = y;
        return wanted;
      }
      free += next - x;
      x = next;
    }
  }
  return free;
}

// Gives square number `placed` a place, each that is clear of those before it as likely as any other; false if
// there is none. `draw` is the next number to use.
DIPTYCH_HD inline bool place_square(const SceneLaw& law, const CounterBits& bits, std::uint64_t& draw,
                                    Square* squares, std::int32_t placed) {
  Square& square = squares[placed];
  const std::int32_t places = law.size - square.side + 1;
  for (int tried = 0; tried < kRandomTries; ++tried) {
    const std::uint64_t here = bits(draw++);
    square.x = below(upper(here), places);
    square.y = below(lower(here), places);
    if (is_free(squares, placed, square.side, law.clearance, square.x, square.y)) return true;
  }
  const std::int64_t free = walk_free(law, squares, placed, -1, square);
  if (free == 0) return false;
  walk_free(law, squares, placed, below(bits(draw++), free), square);
  return true;
}

// Scene number `index`: squares (k,), count <= k of them there. Returns how many found a place: count, or the
// most of all attempts, and then the scene is left empty. Sides and contrasts are the same in every attempt.
DIPTYCH_HD inline std::int32_t place_scene(const SceneLaw& law, std::uint64_t index, std::int32_t count,
                                           std::int64_t k, Square* squares) {
  const CounterBits bits(law.seed, index);
  draw_looks(law, bits, count, squares);
  std::uint64_t draw = 1 + static_cast<std::uint64_t>(count);
  std::int32_t best = 0;
  for (std::int32_t attempt = 0; attempt < law.attempts && best < count; ++attempt) {
    std::int32_t placed = 0;
    while (placed < count && place_square(law, bits, draw, squares, placed)) ++placed;
    best = placed > best ? placed : best;
  }
  for (std::int64_t j = best == count ? count : 0; j < k; ++j) squares[j] = {-1, -1, -1, -1};
  return best;
}

}  // namespace diptych::core::DIPTYCH_ISA
