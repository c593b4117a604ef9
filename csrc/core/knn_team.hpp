// The k most affine items of one item inside its own cluster, by a team of threads.
#pragma once

#include "team.hpp"

namespace diptych::core::DIPTYCH_ISA {

// Finds what knn_of_row finds: neighbors[0..k), largest affinity first, ties to the lower index, -1 where
// the cluster has fewer; returns their sum, taken in that order. Every thread keeps the best of its own
// items, every team's size-th one; the one whose candidate is taken looks for its next.
// `partial` has room for one candidate per thread. O(n + k (log size + n / size)) per thread.
template <class Team, class F>
DIPTYCH_HD inline F team_knn_of_row(const Team& team, const F* row, const std::int64_t* labels,
                                    std::int64_t n, std::int64_t self, int k, Candidate<F>* partial,
                                    std::int64_t* neighbors) {
  const int rank = team.rank(), size = team.size();
  const std::int64_t label = labels[self];
  const Larger<F> larger;
  Candidate<F> taken{F(0), -1}, own{F(0), -1};
  F sum = 0;
  int found = 0;
  for (bool look = label >= 0; found < k; ++found) {
    if (look) {
      own.item = -1;
      for (std::int64_t j = rank; j < n; j += size) {
        if (labels[j] != label || j == self) continue;
        const F value = row[j];
        const bool left = taken.item < 0 || value < taken.value || (value == taken.value && j > taken.item);
        if (left) own = larger(own, {value, j});
      }
    }
    taken = team_reduce(team, own, larger, partial);
    if (taken.item < 0) break;
    if (rank == 0) neighbors[found] = taken.item;
    sum += taken.value;
    look = taken.item % size == rank;
  }
  for (int place = found + rank; place < k; place += size) neighbors[place] = -1;
  return sum;
}

}  // namespace diptych::core::DIPTYCH_ISA
