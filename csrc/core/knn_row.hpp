// The k most affine items of one item inside its own cluster.
#pragma once

#include <cstdint>

#include "macros.hpp"

namespace diptych::core::DIPTYCH_ISA {

// Fills best[0..k) and neighbors[0..k) with the k largest row[j] over j != self that carry self's label,
// largest first, ties to the lower index; returns how many there are (fewer in a small cluster).
// An item labelled -1 belongs to no cluster and has no neighbors. O(n) compares, O(k) per insertion.
template <class F>
DIPTYCH_HD inline int knn_of_row(const F* row, const std::int64_t* labels, std::int64_t n,
                                 std::int64_t self, int k, F* best, std::int64_t* neighbors) {
  const std::int64_t label = labels[self];
  if (label < 0 || k == 0) return 0;
  int found = 0;
  for (std::int64_t j = 0; j < n; ++j) {
    if (labels[j] != label || j == self) continue;
    if (found == k && !(row[j] > best[k - 1])) continue;
    int place = found < k ? found++ : k - 1;
    for (; place > 0 && row[j] > best[place - 1]; --place) {
      best[place] = best[place - 1];
      neighbors[place] = neighbors[place - 1];
    }
    best[place] = row[j];
    neighbors[place] = j;
  }
  return found;
}

}  // namespace diptych::core::DIPTYCH_ISA
