// When two rows are the same.
#pragma once

#include <cstdint>
#include <cstring>

#include "macros.hpp"

namespace diptych::core::DIPTYCH_ISA {

inline std::uint64_t hash_bits(float value) {
  std::uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}

inline std::uint64_t hash_bits(double value) {
  std::uint64_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}

// Equal rows have equal hashes, -0.0 and 0.0 being the same; different rows seldom have. Four sums side by side
// hide the multiplication's latency; the finishing steps are those of SplitMix64 (Steele, Lea & Flood 2014).
template <class F>
inline std::uint64_t row_hash(const F* row, std::int64_t d) {
  std::uint64_t sums[4] = {1, 2, 3, 4};
  for (std::int64_t i = 0; i < d; ++i) {
    std::uint64_t& sum = sums[i & 3];
    sum = (sum ^ hash_bits(row[i] + F(0))) * 0x9E3779B97F4A7C15u;
    sum ^= sum >> 32;
  }
  std::uint64_t hash = 0;
  for (const std::uint64_t sum : sums) hash = (hash ^ sum) * 0xBF58476D1CE4E5B9u;
  hash = (hash ^ (hash >> 27)) * 0x94D049BB133111EBu;
  return hash ^ (hash >> 31);
}

template <class F>
inline bool rows_equal(const F* a, const F* b, std::int64_t d) {
  for (std::int64_t i = 0; i < d; ++i)
    if (!(a[i] == b[i])) return false;
  return true;
}

}  // namespace diptych::core::DIPTYCH_ISA
