// Ranks of one row of distances by a team of threads: each item counts those before it in its own bin.
#pragma once

#include "rank_row.hpp"
#include "team.hpp"

namespace diptych::core::DIPTYCH_ISA {

// Mean number of items in an item's bin above which sorting by digits is quicker than comparing them all.
constexpr std::uint64_t kCrowded = 64;

// The keys of a row: the lowest, the largest, and the least of those above that of zero.
template <class Key>
struct KeySpan {
  Key lowest, least, most;
};

template <class Key>
struct WiderSpan {
  DIPTYCH_HD KeySpan<Key> operator()(const KeySpan<Key>& a, const KeySpan<Key>& b) const {
    return {a.lowest < b.lowest ? a.lowest : b.lowest, a.least < b.least ? a.least : b.least,
            a.most > b.most ? a.most : b.most};
  }
};

// A map from keys to bins that keeps their order. Zero, which duplicates have and which would stretch the
// range over every exponent, stands directly below the least positive key.
template <class Key>
struct KeyBins {
  Key base;
  int shift = 0;
  std::uint64_t factor;

  DIPTYCH_HD KeyBins(const KeySpan<Key>& span, int bins) {
    base = span.lowest;
    if (span.lowest >= kZeroKey<Key>) base = span.least - 1 < span.most ? span.least - 1 : span.most;
    const std::uint64_t range = span.most > base ? span.most - base : 0;
    while (range >> shift >> 32) ++shift;
    factor = (static_cast<std::uint64_t>(bins) << 32) / ((range >> shift) + 1);
  }

  // At most (range >> shift) * factor >> 32 < bins: the product never wraps.
  DIPTYCH_HD int operator()(Key key) const {
    const std::uint64_t offset = key > base ? (key - base) >> shift : 0;
    return static_cast<int>(offset * factor >> 32);
  }
};

// Memory of a team: n items, kTeamShare * size counts, aligned as a double is, and two numbers per thread.
// Item is an unsigned integer that counts to n; n of them must fit in the row's ranks.
template <class Item>
struct RankTeamMemory {
  Item* items;
  std::uint32_t *counts, *partial;
};

// Sorts the items stably by the digits, of four bits, in which their keys differ, and writes their ranks:
// for rows of many ties, in which a bin may hold them all. O(n) per digit.
template <class Team, class F, class Item>
DIPTYCH_HD inline void team_rank_by_digits(const Team& team, const F* row, std::int64_t n, std::int64_t self,
                                           const RankTeamMemory<Item>& memory, std::int32_t* ranks) {
  using Key = typename KeyOf<F>::type;
  const int rank = team.rank(), size = team.size();
  const std::int64_t share = (n + size - 1) / size;
  const std::int64_t first = share * rank < n ? share * rank : n, last = first + share < n ? first + share : n;
  const Key sample = order_key(row[self == 0 ? n - 1 : 0]);
  Key differing = 0;
  for (std::int64_t i = first; i < last; ++i) {
    memory.items[i == self ? 0 : (i < self ? i + 1 : i)] = static_cast<Item>(i);
    if (i != self) differing |= order_key(row[i]) ^ sample;
  }
  const auto either = [](Key a, Key b) { return a | b; };
  differing = team_reduce(team, differing, either, reinterpret_cast<Key*>(memory.counts));
  Item *from = memory.items, *to = reinterpret_cast<Item*>(ranks);
  for (int shift = 0; shift < 8 * static_cast<int>(sizeof(Key)); shift += 4) {
    if ((differing >> shift & 15) == 0) continue;
    // The row's own item goes first, where it stays: no digit is below 0.
    const auto counter = [&](Item item) {
      const int digit = item == self ? 0 : static_cast<int>(order_key(row[item]) >> shift & 15);
      return memory.counts + team_place(digit * size + rank, size);
    };
    for (int digit = 0; digit < 16; ++digit) memory.counts[team_place(digit * size + rank, size)] = 0;
    for (std::int64_t i = first; i < last; ++i) ++*counter(from[i]);
    team.sync();
    team_accumulate(team, memory.counts, memory.partial);
    for (std::int64_t i = first; i < last; ++i) to[(*counter(from[i]))++] = from[i];
    team.sync();
    Item* const sorted = to;
    to = from;
    from = sorted;
  }
  if (from != memory.items) {
    for (std::int64_t i = first; i < last; ++i) memory.items[i] = from[i];
    team.sync();
  }
  for (std::int64_t i = first; i < last; ++i) ranks[memory.items[i]] = static_cast<std::int32_t>(i);
}

// Writes the rank of every item: its place when the items are sorted by order_key(row), ties by index;
// `self` comes first whatever its distance. About O(n) for the team together; see kCrowded.
template <class Team, class F, class Item>
DIPTYCH_HD inline void team_rank_row(const Team& team, const F* row, std::int64_t n, std::int64_t self,
                                     const RankTeamMemory<Item>& memory, std::int32_t* ranks) {
  using Key = typename KeyOf<F>::type;
  const int rank = team.rank(), size = team.size();
  KeySpan<Key> span{~Key(0), ~Key(0), 0};
  for (std::int64_t i = rank; i < n; i += size) {
    if (i == self) continue;
    const Key key = order_key(row[i]);
    span = WiderSpan<Key>()(span, {key, key > kZeroKey<Key> ? key : ~Key(0), key});
  }
  span = team_reduce(team, span, WiderSpan<Key>(), reinterpret_cast<KeySpan<Key>*>(memory.counts));
  const KeyBins<Key> bin_of(span, kTeamShare * size);
  const auto count_at = [&](int bin) { return memory.counts + team_place(bin, size); };
  for (int step = 0; step < kTeamShare; ++step) memory.counts[step * size + rank] = 0;
  team.sync();
  for (std::int64_t i = rank; i < n; i += size)
    if (i != self) team.add(count_at(bin_of(order_key(row[i]))), 1);
  team.sync();
  const std::uint64_t squares = team_accumulate(team, memory.counts, memory.partial);
  if (team_reduce(team, squares, Sum(), reinterpret_cast<std::uint64_t*>(memory.partial)) >
      kCrowded * static_cast<std::uint64_t>(n)) {
    team_rank_by_digits(team, row, n, self, memory, ranks);
    return;
  }
  for (std::int64_t i = rank; i < n; i += size)
    if (i != self) memory.items[team.add(count_at(bin_of(order_key(row[i]))), 1)] = static_cast<Item>(i);
  team.sync();
  // Every bin's count now tells where the bin ends. Inside it the items stand in any order.
  for (std::int64_t i = rank; i < n; i += size) {
    if (i == self) {
      ranks[i] = 0;
      continue;
    }
    const Key key = order_key(row[i]);
    const int bin = bin_of(key);
    const std::uint32_t begin = bin > 0 ? *count_at(bin - 1) : 0, end = *count_at(bin);
    std::uint32_t before = begin + 1;  // the row's own item, which is in no bin
    for (std::uint32_t place = begin; place < end; ++place) {
      const std::int64_t other = memory.items[place];
      const Key theirs = order_key(row[other]);
      before += theirs < key || (theirs == key && other < i);
    }
    ranks[i] = static_cast<std::int32_t>(before);
  }
}

}  // namespace diptych::core::DIPTYCH_ISA
