// Ranks of one column of numbers, 1 to n, where equal numbers share the mean of their places.
#pragma once

#include <cstdint>

#include "macros.hpp"
#include "rank_row.hpp"

namespace diptych::core::DIPTYCH_ISA {

// Makes s.keys the numbers' places on a scale of 2^bits steps from the least to the largest. Rounding keeps
// their order, so that only numbers on one step are left to be told apart. NaN goes to the last step.
template <class F>
inline void quantize(const F* values, const RankScratch<typename KeyOf<F>::type>& s, std::int64_t n, int bits) {
  using Key = typename KeyOf<F>::type;
  constexpr int chains = 16;  // of comparisons that need not wait for each other
  F lows[chains], highs[chains];
  for (int c = 0; c < chains; ++c) lows[c] = highs[c] = values[0];
  std::int64_t i = 0;
  for (; i + chains <= n; i += chains)
    for (int c = 0; c < chains; ++c) {
      lows[c] = values[i + c] < lows[c] ? values[i + c] : lows[c];
      highs[c] = values[i + c] > highs[c] ? values[i + c] : highs[c];
    }
  F low = values[n - 1], high = values[n - 1];
  for (; i < n; ++i) {
    low = values[i] < low ? values[i] : low;
    high = values[i] > high ? values[i] : high;
  }
  for (int c = 0; c < chains; ++c) {
    low = lows[c] < low ? lows[c] : low;
    high = highs[c] > high ? highs[c] : high;
  }
  const F top = static_cast<F>((Key(1) << bits) - 1), scale = high > low ? top / (high - low) : 0;
  for (i = 0; i < n; ++i) {
    const F step = (values[i] - low) * scale;
    s.keys[i] = static_cast<Key>(step < top ? step : top);
  }
}

// Finishes an almost sorted order of s.items by insertion. Gives up, returning false, once the items have
// moved more than 2 n places: the order was far from sorted.
template <class F>
inline bool finish_order(const F* values, std::uint32_t* items, std::int64_t n) {
  std::int64_t moves = 2 * n;
  F largest = values[items[0]];
  for (std::int64_t i = 1; i < n; ++i) {
    const std::uint32_t item = items[i];
    const F value = values[item];
    if (!(value < largest)) {
      largest = value;
      continue;
    }
    std::int64_t place = i;
    for (; place > 0 && values[items[place - 1]] > value; --place) items[place] = items[place - 1];
    items[place] = item;
    moves -= i - place;
    if (moves < 0) return false;
  }
  return true;
}

// Sorts the n items by their numbers into s.items: by two digits of a linear scale with some 64 steps per
// item, then by insertion; by all digits of the numbers where almost all crowd into a small part of the scale.
template <class F>
inline void sort_items(const F* values, RankScratch<typename KeyOf<F>::type>& s, std::int64_t n) {
  if (n <= (std::int64_t(1) << (32 - kDigitBits))) {
    int bits = 4;
    while (bits < kDigitBits && (std::int64_t(1) << 2 * bits) < 64 * n) ++bits;
    quantize(values, s, n, 2 * bits);
    sort_by_two_digits(s, n, 0, bits);
    if (finish_order(values, s.items, n)) return;
  }
  for (std::int64_t i = 0; i < n; ++i) s.keys[i] = order_key(values[i]);
  sort_by_all_digits(s, n);
}

// Calls store(item, twice the item's rank) for each of n >= 1 numbers; equal ones share the mean of the places
// 1..n that they fill, which is a multiple of a half. O(n), at worst O(n) per 11 bits.
template <class F, class Store>
inline void average_ranks(const F* values, RankScratch<typename KeyOf<F>::type> s, std::int64_t n, Store store) {
  sort_items(values, s, n);
  F value = values[s.items[0]];
  for (std::int64_t first = 0, end = 1; first < n; ++end) {
    const F next = end < n ? values[s.items[end]] : F(0);
    if (end < n && next == value) continue;
    for (std::int64_t place = first; place < end; ++place) store(s.items[place], first + 1 + end);
    first = end;
    value = next;
  }
}

}  // namespace diptych::core::DIPTYCH_ISA
