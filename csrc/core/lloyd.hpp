// Lloyd's algorithm for one k-means problem.
#pragma once

#include <cstdint>

#include "macros.hpp"

namespace diptych::core::DIPTYCH_ISA {

// Items whose distances are computed side by side: whole registers of any instruction set.
constexpr int kItemLanes = 32;

// The items twice: `rows` (n, d), and `columns` (d, stride) with stride >= n a multiple of kItemLanes, whose
// entries past n may be anything finite.
struct Items {
  const double* rows;
  const double* columns;
  std::int64_t n, stride;
  int d;
};

// Squared distances of kItemLanes items from `first` on to a point (d,).
inline void squared_distances(const Items& items, std::int64_t first, const double* point, double* distance) {
  double sums[kItemLanes] = {};
  for (int i = 0; i < items.d; ++i) {
    const double coordinate = point[i];
    const double* column = items.columns + i * items.stride + first;
#pragma omp simd
    for (int lane = 0; lane < kItemLanes; ++lane) {
      const double gap = column[lane] - coordinate;
      sums[lane] += gap * gap;
    }
  }
  for (int lane = 0; lane < kItemLanes; ++lane) distance[lane] = sums[lane];
}

// Squared distances of kItemLanes items from `first` on to their nearest centre, and its number, the lower on a
// tie.
inline void nearest_centers(const Items& items, std::int64_t first, const double* centers, int k, double* least,
                            std::int32_t* label) {
  for (int c = 0; c < k; ++c) {
    double distance[kItemLanes];
    squared_distances(items, first, centers + c * items.d, distance);
#pragma omp simd
    for (int lane = 0; lane < kItemLanes; ++lane) {
      const bool nearer = c == 0 || distance[lane] < least[lane];
      least[lane] = nearer ? distance[lane] : least[lane];
      label[lane] = nearer ? c : label[lane];
    }
  }
}

// Moves the k centres (k, d) of the items until, in one step, their summed squared movement is at most
// `threshold`, or max_iter steps are done; a centre without items goes to the worst served item.
// Fills `labels` (n,) and returns the inertia, the sum of squared distances to the nearest centre.
// `sums` has room for k * d numbers and `counts` for k. O(n k d) per step.
inline double lloyd(const Items& items, int k, int max_iter, double threshold, double* centers,
                    std::int64_t* labels, double* sums, std::int64_t* counts) {
  const int d = items.d;
  for (int step = 0;; ++step) {
    for (int i = 0; i < k * d; ++i) sums[i] = 0;
    for (int c = 0; c < k; ++c) counts[c] = 0;
    double inertia = 0, worst = -1;
    std::int64_t worst_item = 0;
    for (std::int64_t first = 0; first < items.n; first += kItemLanes) {
      double least[kItemLanes] = {};
      std::int32_t label[kItemLanes] = {};
      nearest_centers(items, first, centers, k, least, label);
      for (int lane = 0; lane < kItemLanes && first + lane < items.n; ++lane) {
        const std::int64_t item = first + lane;
        labels[item] = label[lane];
        inertia += least[lane];
        ++counts[label[lane]];
        for (int i = 0; i < d; ++i) sums[label[lane] * d + i] += items.rows[item * d + i];
        if (least[lane] > worst) {
          worst = least[lane];
          worst_item = item;
        }
      }
    }
    if (step == max_iter || threshold < 0) return inertia;
    double shift = 0;
    for (int c = 0; c < k; ++c)
      for (int i = 0; i < d; ++i) {
        const double to = counts[c] > 0 ? sums[c * d + i] / static_cast<double>(counts[c])
                                        : items.rows[worst_item * d + i];
        const double gap = to - centers[c * d + i];
        shift += gap * gap;
        centers[c * d + i] = to;
      }
    if (shift <= threshold) threshold = -1;  // settled: one more pass gives labels for the final centres
  }
}

}  // namespace diptych::core::DIPTYCH_ISA
