// Where the centres of a k-means problem start.
#pragma once

#include <cstdint>

#include "lloyd.hpp"
#include "macros.hpp"

namespace diptych::core::DIPTYCH_ISA {

// Scratch of seed_centers: items.stride numbers each.
struct SeedScratch {
  double *nearest, *best, *trial;
};

// The smaller of each item's squared distance to `point` and its entry of `nearest`, or the distance where
// `nearest` is null; returns the sum. Entries past n are zero.
inline double reduced_distances(const Items& items, const double* point, const double* nearest, double* out) {
  double sums[kItemLanes] = {};
  for (std::int64_t first = 0; first < items.stride; first += kItemLanes) {
    double* part = out + first;
    squared_distances(items, first, point, part);
    for (std::int64_t lane = items.n > first ? items.n - first : 0; lane < kItemLanes; ++lane) part[lane] = 0;
    if (nearest != nullptr)
      for (int lane = 0; lane < kItemLanes; ++lane)
        part[lane] = nearest[first + lane] < part[lane] ? nearest[first + lane] : part[lane];
    for (int lane = 0; lane < kItemLanes; ++lane) sums[lane] += part[lane];
  }
  for (int width = kItemLanes / 2; width > 0; width /= 2)
    for (int lane = 0; lane < width; ++lane) sums[lane] += sums[lane + width];
  return sums[0];
}

// The first of n ascending numbers that is no less than `target`, the last if none is.
inline std::int64_t place_of(double target, const double* cumulative, std::int64_t n) {
  std::int64_t low = 0, high = n - 1;
  while (low < high) {
    const std::int64_t middle = low + (high - low) / 2;
    if (cumulative[middle] < target)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

// Greedy k-means++ (Arthur & Vassilvitskii 2007): the first centre is item `first`; each next one the best of
// `candidates` (at most kMaxCandidates) items drawn in proportion to their squared distance to the centres so
// far, by the numbers in [0, 1) draws[(c - 1) * stride + t] for candidate t of centre c. Fills centers (k, d).
// O(n k d candidates).
template <int max_candidates>
inline void seed_centers(const Items& items, int k, std::int64_t first, const double* draws, std::int64_t stride,
                         int candidates, SeedScratch scratch, double* centers) {
  const auto place = [&](int center, std::int64_t item) {
    for (int i = 0; i < items.d; ++i) centers[center * items.d + i] = items.rows[item * items.d + i];
  };
  place(0, first);
  reduced_distances(items, items.rows + first * items.d, nullptr, scratch.nearest);
  for (int c = 1; c < k; ++c) {
    double total = 0;
    for (std::int64_t item = 0; item < items.n; ++item) {
      total += scratch.nearest[item];
      scratch.trial[item] = total;
    }
    std::int64_t chosen[max_candidates];
    for (int t = 0; t < candidates; ++t)
      chosen[t] = place_of(draws[(c - 1) * stride + t] * total, scratch.trial, items.n);
    double least = 0;
    std::int64_t winner = 0;
    for (int t = 0; t < candidates; ++t) {
      const double sum =
          reduced_distances(items, items.rows + chosen[t] * items.d, scratch.nearest, scratch.trial);
      if (t > 0 && !(sum < least)) continue;
      least = sum;
      winner = chosen[t];
      double* const better = scratch.trial;
      scratch.trial = scratch.best;
      scratch.best = better;
    }
    place(c, winner);
    double* const best = scratch.best;
    scratch.best = scratch.nearest;
    scratch.nearest = best;
  }
}

}  // namespace diptych::core::DIPTYCH_ISA
