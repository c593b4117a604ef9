// Ranks of one row of distances by a radix sort of (key, index) pairs.
#pragma once

#include <cstdint>
#include <cstring>

#include "macros.hpp"

namespace diptych::core::DIPTYCH_ISA {

template <class T>
struct KeyOf;
template <>
struct KeyOf<float> {
  using type = std::uint32_t;
};
template <>
struct KeyOf<double> {
  using type = std::uint64_t;
};

// An unsigned integer that sorts as the floating-point number does; -0.0 and 0.0 share a key. No number
// but a negative NaN maps to zero, so zero is free to mark the row's own item.
template <class T>
DIPTYCH_HD inline typename KeyOf<T>::type order_key(T value) {
  using Key = typename KeyOf<T>::type;
  const T canonical = value + T(0);
  Key bits;
  std::memcpy(&bits, &canonical, sizeof bits);
  const Key sign = Key(1) << (8 * sizeof(Key) - 1);
  return (bits & sign) ? ~bits : (bits | sign);
}

template <class Key>
struct Keyed {
  Key key;
  std::uint32_t index;
};

constexpr int kDigitBits = 11;
constexpr int kDigits = 1 << kDigitBits;

template <class Key>
constexpr int digit_count() {
  return (8 * static_cast<int>(sizeof(Key)) + kDigitBits - 1) / kDigitBits;
}

// Writes the rank of every item: item j's place when the items are sorted by key, ties by index.
// `items` holds the n items in index order and is overwritten, `scratch` has room for n more, and
// `counts` for digit_count<Key>() * kDigits numbers. O(n) per digit that is not the same in all keys.
template <class Key>
inline void rank_items(Keyed<Key>* items, Keyed<Key>* scratch, std::uint32_t* counts, std::int64_t n,
                       std::int32_t* ranks) {
  constexpr int digits = digit_count<Key>();
  std::memset(counts, 0, sizeof(std::uint32_t) * kDigits * digits);
  for (std::int64_t i = 0; i < n; ++i)
    for (int digit = 0; digit < digits; ++digit)
      ++counts[digit * kDigits + ((items[i].key >> (digit * kDigitBits)) & (kDigits - 1))];

  Keyed<Key>* from = items;
  Keyed<Key>* to = scratch;
  for (int digit = 0; digit < digits; ++digit) {
    std::uint32_t* count = counts + digit * kDigits;
    const int shift = digit * kDigitBits;
    if (count[(from[0].key >> shift) & (kDigits - 1)] == static_cast<std::uint32_t>(n)) continue;
    std::uint32_t start = 0;
    for (int value = 0; value < kDigits; ++value) {
      const std::uint32_t here = count[value];
      count[value] = start;
      start += here;
    }
    for (std::int64_t i = 0; i < n; ++i)
      to[count[(from[i].key >> shift) & (kDigits - 1)]++] = from[i];
    Keyed<Key>* sorted = to;
    to = from;
    from = sorted;
  }
  for (std::int64_t place = 0; place < n; ++place)
    ranks[from[place].index] = static_cast<std::int32_t>(place);
}

}  // namespace diptych::core::DIPTYCH_ISA
