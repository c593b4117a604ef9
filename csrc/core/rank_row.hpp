// Ranks of one row of distances: a radix sort by the digits that tell its keys apart, then insertion.
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
// but a negative NaN maps to zero, so below every key there is room for the row's own item.
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
constexpr Key kZeroKey = Key(1) << (8 * sizeof(Key) - 1);  // order_key(0)

constexpr int kDigitBits = 11;
constexpr int kDigits = 1 << kDigitBits;

// Memory for ranking rows of n items: places for n keys and twice n items, and 2 * kDigits counts.
template <class Key>
struct RankScratch {
  Key* keys;
  std::uint32_t *items, *packed, *counts;
};

// Turns counts into the places where each digit's items begin.
inline void accumulate(std::uint32_t* counts, int digits) {
  std::uint32_t start = 0;
  for (int digit = 0; digit < digits; ++digit) {
    const std::uint32_t here = counts[digit];
    counts[digit] = start;
    start += here;
  }
}

// Sorts the items stably by two digits of `bits` bits each that begin at bit `shift`: both are counted
// in one pass, and the second travels with the item, so that it needs no second look at its key.
template <class Key>
inline void sort_by_two_digits(const RankScratch<Key>& s, std::int64_t n, int shift, int bits) {
  const Key mask = (Key(1) << bits) - 1;
  std::uint32_t *low = s.counts, *high = s.counts + (Key(1) << bits);
  std::memset(s.counts, 0, 2 * sizeof(std::uint32_t) << bits);
  for (std::int64_t i = 0; i < n; ++i) {
    const Key k = s.keys[i] >> shift;
    ++low[k & mask];
    ++high[(k >> bits) & mask];
  }
  accumulate(low, 1 << bits);
  accumulate(high, 1 << bits);
  constexpr int item_bits = 32 - kDigitBits;
  for (std::int64_t i = 0; i < n; ++i) {
    const Key k = s.keys[i] >> shift;
    const auto second = static_cast<std::uint32_t>((k >> bits) & mask);
    s.packed[low[k & mask]++] = second << item_bits | static_cast<std::uint32_t>(i);
  }
  for (std::int64_t i = 0; i < n; ++i) {
    const std::uint32_t both = s.packed[i];
    s.items[high[both >> item_bits]++] = both & ((1u << item_bits) - 1);
  }
}

// Sorts the items stably by their whole keys, 11 bits at a time.
template <class Key>
inline void sort_by_all_digits(RankScratch<Key>& s, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) s.items[i] = static_cast<std::uint32_t>(i);
  for (int shift = 0; shift < 8 * static_cast<int>(sizeof(Key)); shift += kDigitBits) {
    std::memset(s.counts, 0, sizeof(std::uint32_t) * kDigits);
    for (std::int64_t i = 0; i < n; ++i) ++s.counts[(s.keys[i] >> shift) & (kDigits - 1)];
    accumulate(s.counts, kDigits);
    for (std::int64_t i = 0; i < n; ++i)
      s.packed[s.counts[(s.keys[s.items[i]] >> shift) & (kDigits - 1)]++] = s.items[i];
    std::uint32_t* sorted = s.packed;
    s.packed = s.items;
    s.items = sorted;
  }
}

// Finishes an almost sorted order by insertion and writes the ranks. Gives up, returning false, once the
// items have moved more than n places: the order was far from sorted.
template <class Key>
inline bool settle(const RankScratch<Key>& s, std::int64_t n, std::int32_t* ranks) {
  std::int64_t moves = n;
  Key largest = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    const std::uint32_t item = s.items[i];
    const Key key = s.keys[item];
    std::int64_t place = i;
    if (key < largest) {
      for (; place > 0 && s.keys[s.items[place - 1]] > key; --place) {
        s.items[place] = s.items[place - 1];
        ranks[s.items[place]] = static_cast<std::int32_t>(place);
      }
      s.items[place] = item;
      moves -= i - place;
      if (moves < 0) return false;
    } else {
      largest = key;
    }
    ranks[item] = static_cast<std::int32_t>(place);
  }
  return true;
}

// Makes s.keys of non-negative distances start at 2 for the least positive one, with 1 for zero (which
// duplicates have, and which would stretch the range over every exponent); the order stays. Returns the
// largest, or 0 with the keys untouched where a distance is negative.
template <class Key>
inline Key narrow_keys(const RankScratch<Key>& s, std::int64_t n) {
  Key lowest = kZeroKey<Key>, least = ~Key(0), most = kZeroKey<Key>;
  for (std::int64_t i = 0; i < n; ++i) {
    const Key key = s.keys[i];
    const Key above_zero = key - kZeroKey<Key> - 1;  // wraps around to more than any other for zero itself
    lowest = key < lowest ? key : lowest;
    least = above_zero < least ? above_zero : least;
    most = key > most ? key : most;
  }
  if (lowest < kZeroKey<Key>) return 0;
  const Key base = least + kZeroKey<Key> - 1;
  for (std::int64_t i = 0; i < n; ++i) s.keys[i] = s.keys[i] > kZeroKey<Key> ? s.keys[i] - base : 1;
  return most > kZeroKey<Key> ? most - base : 1;
}

// Writes the rank of every item: its place when the items are sorted by s.keys, ties by index; `self`
// comes first whatever its key. Two digits out of the range that the keys span leave few items out of
// order, unless almost all of them crowd into a small part of it. O(n), at worst O(n) per 11 bits.
template <class Key>
inline void rank_row(RankScratch<Key> s, std::int64_t n, std::int64_t self, std::int32_t* ranks) {
  s.keys[self] = kZeroKey<Key>;
  const Key most = narrow_keys(s, n);
  s.keys[self] = 0;
  if (most > 0 && n <= (std::int64_t(1) << (32 - kDigitBits))) {
    int bits = 4, shift = 0;
    while (bits < kDigitBits && (std::int64_t(1) << bits) < n) ++bits;
    while (most >> shift >> 2 * bits) ++shift;
    sort_by_two_digits(s, n, shift, bits);
    if (settle(s, n, ranks)) return;
  }
  sort_by_all_digits(s, n);
  for (std::int64_t place = 0; place < n; ++place) ranks[s.items[place]] = static_cast<std::int32_t>(place);
}

}  // namespace diptych::core::DIPTYCH_ISA
