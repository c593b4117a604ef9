// The k nearest of the items one row is shown: cheap bounds decide who may be among them, exact distances
// who is.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include "macros.hpp"

namespace diptych::core {

// One side of a search: the coordinates (E: float or double), and what bounds a squared distance from
// float32 products. With p the product of items i and j as computed, their squared distance times `scale`
// lies between low[i] + low[j] - 2 p and that plus slack[i] + slack[j].
template <class E>
struct NearestItems {
  const E* rows;
  const float *low, *slack;
};

// A search for the k nearest of `searched` to items first .. first + count of `asked`, whose candidates lie
// in (count, capacity) arrays. A candidate's value is its lower bound less low[i]; one whose value is not
// below the item's threshold is none of the k nearest.
template <class E>
struct NearestSearch {
  NearestItems<E> asked, searched;
  std::int64_t d, first, capacity;
  double scale;
  int k;
  bool exclude_self;
  float* values;
  std::int32_t *items, *counts;
  float* thresholds;
};

// The products of `rows` items asked about, from first_row on, with `columns` items searched.
struct ProductTile {
  const float* products;
  std::int64_t first_row, rows, first_column, columns;
};

}  // namespace diptych::core

namespace diptych::core::DIPTYCH_ISA {

// In this namespace, so that each instruction set has its own std::sort of them.
struct Neighbor {
  double distance;
  std::int64_t item;
};

inline bool operator<(const Neighbor& a, const Neighbor& b) {
  return a.distance < b.distance || (a.distance == b.distance && a.item < b.item);
}

// |a - b|^2 from differences of coordinates, in double and in one order of summation whoever asks: equal
// rows are at distance zero, and an item's duplicates at one distance.
template <class E>
DIPTYCH_HD inline double squared_distance_of_rows(const E* a, const E* b, std::int64_t d) {
  constexpr int lanes = 16;
  double sums[lanes] = {};
  std::int64_t j = 0;
  for (; j + lanes <= d; j += lanes)
    for (int lane = 0; lane < lanes; ++lane) {
      const double gap = static_cast<double>(a[j + lane]) - static_cast<double>(b[j + lane]);
      sums[lane] += gap * gap;
    }
  for (int lane = 0; j < d; ++j, ++lane) {
    const double gap = static_cast<double>(a[j]) - static_cast<double>(b[j]);
    sums[lane] += gap * gap;
  }
  for (int width = lanes / 2; width > 0; width /= 2)
    for (int lane = 0; lane < width; ++lane) sums[lane] += sums[lane + width];
  return sums[0];
}

constexpr int kMaximumLanes = 16;

// The largest of value(0) .. value(count - 1), or `least`; in lanes, as a compiler may not reorder it itself.
template <class Value>
inline float largest(int count, float least, Value value) {
  float lanes[kMaximumLanes];
  for (float& lane : lanes) lane = least;
  int j = 0;
  for (; j + kMaximumLanes <= count; j += kMaximumLanes)
    for (int lane = 0; lane < kMaximumLanes; ++lane) {
      const float here = value(j + lane);
      lanes[lane] = here > lanes[lane] ? here : lanes[lane];
    }
  for (; j < count; ++j) {
    const float here = value(j);
    lanes[0] = here > lanes[0] ? here : lanes[0];
  }
  for (int lane = 1; lane < kMaximumLanes; ++lane) lanes[0] = lanes[lane] > lanes[0] ? lanes[lane] : lanes[0];
  return lanes[0];
}

// A number that at least k of the values do not exceed, and few more than k: bisection needs no moves and
// no branches, and stops as soon as the answer will do.
inline float about_kth(const float* values, int count, int k) {
  float high = largest(count, values[0], [&](int j) { return values[j]; });
  float low = -largest(count, -values[0], [&](int j) { return -values[j]; });
  const int enough = k + k / 8;
  for (int round = 0; round < 32; ++round) {
    const float middle = low + (high - low) / 2;
    if (!(middle < high)) break;
    int below = 0;
    for (int j = 0; j < count; ++j) below += values[j] <= middle;
    if (below < k) {
      if (!(middle > low)) break;
      low = middle;
    } else {
      high = middle;
      if (below <= enough) break;
    }
  }
  return high;
}

// The candidates of one item, as NearestSearch stores them.
struct Candidates {
  float* values;
  std::int32_t* items;
  int count;
  float threshold;
};

// Lowers the threshold to an upper bound on the k-th distance, by the bounds alone, and drops the
// candidates above it. The order of those that stay is kept.
inline void tighten(Candidates& c, int k, const float* slack, float own_slack) {
  if (c.count <= k) return;
  const float pivot = about_kth(c.values, c.count, k);
  const float none = -std::numeric_limits<float>::infinity();
  const float reach = own_slack + largest(c.count, none, [&](int j) {
                        const float upper = c.values[j] + slack[c.items[j]];
                        return c.values[j] <= pivot ? upper : none;
                      });
  c.threshold = reach < c.threshold ? reach : c.threshold;
  int kept = 0;
  for (int j = 0; j < c.count; ++j) {
    const float value = c.values[j];
    const std::int32_t item = c.items[j];
    c.values[kept] = value;
    c.items[kept] = item;
    kept += value <= c.threshold;
  }
  c.count = kept;
}

// The exact distances of one item to its candidates.
template <class E>
inline void measure(const NearestSearch<E>& s, std::int64_t item, const Candidates& c, Neighbor* exact) {
  const E* row = s.asked.rows + item * s.d;
  // The rows lie anywhere: fetched ahead, they arrive while others are summed.
  constexpr int ahead = 4, line = 64 / sizeof(E);
  for (int j = 0; j < c.count; ++j) {
    if (j + ahead < c.count) {
      const E* next = s.searched.rows + c.items[j + ahead] * s.d;
      for (std::int64_t at = 0; at < s.d && at < 16 * line; at += line) __builtin_prefetch(next + at);
    }
    exact[j] = {squared_distance_of_rows(row, s.searched.rows + c.items[j] * s.d, s.d), c.items[j]};
  }
}

// Keeps the k nearest candidates by exact distance, in their order, and takes the threshold from the k-th:
// for rows so crowded that bounds cannot tell their candidates apart. `scratch` holds 2 c.count.
template <class E>
inline void tighten_exactly(const NearestSearch<E>& s, std::int64_t item, Candidates& c, Neighbor* scratch) {
  Neighbor *exact = scratch, *sorted = scratch + c.count;
  measure(s, item, c, exact);
  std::copy(exact, exact + c.count, sorted);
  std::nth_element(sorted, sorted + (s.k - 1), sorted + c.count);
  const Neighbor last = sorted[s.k - 1];
  int kept = 0;
  for (int j = 0; j < c.count; ++j) {
    if (last < exact[j]) continue;
    c.values[kept] = c.values[j];
    c.items[kept++] = c.items[j];
  }
  c.count = kept;
  const double exact_reach = last.distance * s.scale - s.asked.low[item];
  float reach = static_cast<float>(exact_reach);
  if (reach < exact_reach) reach = std::nextafter(reach, std::numeric_limits<float>::infinity());
  c.threshold = reach < c.threshold ? reach : c.threshold;
}

// Makes room among the candidates of an item, whose buffer is full. `scratch` holds 2 s.capacity.
template <class E>
inline void make_room(const NearestSearch<E>& s, std::int64_t item, Candidates& c, Neighbor* scratch) {
  tighten(c, s.k, s.searched.slack, s.asked.slack[item]);
  if (c.count > s.k + (s.capacity - s.k) / 2) tighten_exactly(s, item, c, scratch);
}

// Sorts the exact neighbors of one item and writes the k nearest: their squared distances times `factor`,
// or the roots of those, and their indices; NaN and -1 where there are fewer (which takes NaN in the data).
template <class F>
inline void write_nearest(Neighbor* exact, std::int64_t count, std::int64_t k, bool root, double factor,
                          F* distances, std::int64_t* indices) {
  const std::int64_t found = count < k ? count : k;
  if (count > 2 * k) std::nth_element(exact, exact + k, exact + count);
  std::sort(exact, exact + (count > 2 * k ? k : count));
  for (std::int64_t j = 0; j < found; ++j) {
    distances[j] = static_cast<F>(root ? std::sqrt(exact[j].distance) : exact[j].distance * factor);
    indices[j] = exact[j].item;
  }
  for (std::int64_t j = found; j < k; ++j) {
    distances[j] = std::numeric_limits<F>::quiet_NaN();
    indices[j] = -1;
  }
}

}  // namespace diptych::core::DIPTYCH_ISA
