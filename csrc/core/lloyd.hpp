// Lloyd's algorithm for one k-means problem.
#pragma once

#include <cstdint>

#include "macros.hpp"

namespace diptych::core::DIPTYCH_ISA {

// Squared distance of x to its nearest centre; `label` receives that centre's number, the lower on a tie.
DIPTYCH_HD inline double nearest_center(const double* x, const double* centers, int k, int d, int& label) {
  double least = 0;
  for (int c = 0; c < k; ++c) {
    double distance = 0;
    for (int i = 0; i < d; ++i) {
      const double gap = x[i] - centers[c * d + i];
      distance += gap * gap;
    }
    if (c == 0 || distance < least) {
      least = distance;
      label = c;
    }
  }
  return least;
}

// Moves the k centres (k, d) of the items x (n, d) until, in one step, their summed squared movement is at
// most `threshold`, or max_iter steps are done; a centre without items goes to the worst served item.
// Fills `labels` (n,) and returns the inertia, the sum of squared distances to the nearest centre.
// `sums` has room for k * d numbers and `counts` for k. O(n k d) per step.
inline double lloyd(const double* x, std::int64_t n, int d, int k, int max_iter, double threshold,
                    double* centers, std::int64_t* labels, double* sums, std::int64_t* counts) {
  for (int step = 0;; ++step) {
    for (int i = 0; i < k * d; ++i) sums[i] = 0;
    for (int c = 0; c < k; ++c) counts[c] = 0;
    double inertia = 0, worst = -1;
    std::int64_t worst_item = 0;
    for (std::int64_t item = 0; item < n; ++item) {
      int label = 0;
      const double distance = nearest_center(x + item * d, centers, k, d, label);
      labels[item] = label;
      inertia += distance;
      ++counts[label];
      for (int i = 0; i < d; ++i) sums[label * d + i] += x[item * d + i];
      if (distance > worst) {
        worst = distance;
        worst_item = item;
      }
    }
    if (step == max_iter || threshold < 0) return inertia;
    double shift = 0;
    for (int c = 0; c < k; ++c)
      for (int i = 0; i < d; ++i) {
        const double to = counts[c] > 0 ? sums[c * d + i] / static_cast<double>(counts[c])
                                        : x[worst_item * d + i];
        const double gap = to - centers[c * d + i];
        shift += gap * gap;
        centers[c * d + i] = to;
      }
    if (shift <= threshold) threshold = -1;  // settled: one more pass gives labels for the final centres
  }
}

}  // namespace diptych::core::DIPTYCH_ISA
