// Random numbers that depend on counters alone, so that any thread can draw any of them, in any order.
#pragma once

#include <cstdint>

#include "macros.hpp"

namespace diptych::core::DIPTYCH_ISA {

// The finaliser of splitmix64 (Steele, Lea & Flood 2014): every bit of x moves every bit of the result.
DIPTYCH_HD inline std::uint64_t scrambled(std::uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
  return x ^ (x >> 31);
}

// 64 bits for three counters: seed, row and draw.
struct CounterBits {
  static constexpr std::uint64_t step = 0x9e3779b97f4a7c15ull;
  std::uint64_t stream;

  DIPTYCH_HD CounterBits(std::uint64_t seed, std::uint64_t row)
      : stream(scrambled(scrambled(seed + step) + (row + 1) * step)) {}
  DIPTYCH_HD std::uint64_t operator()(std::uint64_t draw) const {
    return scrambled(stream + (draw + 1) * step);
  }
};

// The same as numbers in [0, 1).
struct CounterUniform {
  CounterBits bits;

  DIPTYCH_HD CounterUniform(std::uint64_t seed, std::uint64_t row) : bits(seed, row) {}
  DIPTYCH_HD double operator()(std::uint64_t draw) const {
    return static_cast<double>(bits(draw) >> 11) * 0x1p-53;
  }
};

// A whole number from 0 to count - 1 for 32 bits: each as likely as any other to count / 2^32.
DIPTYCH_HD inline std::int32_t below(std::uint32_t bits, std::int32_t count) {
  return static_cast<std::int32_t>(static_cast<std::uint64_t>(bits) * static_cast<std::uint64_t>(count) >> 32);
}

// The same for 64 bits, count < 2^32: the upper half of their product.
DIPTYCH_HD inline std::int64_t below(std::uint64_t bits, std::int64_t count) {
  const std::uint64_t factor = static_cast<std::uint64_t>(count);
  return static_cast<std::int64_t>(((bits >> 32) * factor + ((bits & 0xffffffffull) * factor >> 32)) >> 32);
}

}  // namespace diptych::core::DIPTYCH_ISA
