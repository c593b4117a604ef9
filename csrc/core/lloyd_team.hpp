// Lloyd's algorithm for one k-means problem, by a team of threads.
#pragma once

#include <cstdint>

#include "team.hpp"

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

// Numbers that team_lloyd keeps between its threads: for every cluster the sums of its columns and its
// size, once for each of several slices of the items.
DIPTYCH_HD inline std::int64_t lloyd_sums(int size, int d, int k) {
  const std::int64_t each = static_cast<std::int64_t>(k) * (d + 1);
  return each > size ? each : size;
}

// Adds up what each cluster holds: sums[c * (d + 1) + i] is that of column i, and at i = d the number of
// items. Each thread adds one number over one slice, then the slices: the order is fixed.
template <class Team>
DIPTYCH_HD inline void team_cluster_sums(const Team& team, const double* x, const std::int64_t* labels,
                                         std::int64_t n, int d, int k, double* sums) {
  const std::int64_t each = static_cast<std::int64_t>(k) * (d + 1);
  const std::int64_t slices = each < team.size() ? team.size() / each : 1;
  for (std::int64_t work = team.rank(); work < each * slices; work += team.size()) {
    const std::int64_t slice = work / each, entry = work % each, c = entry / (d + 1), i = entry % (d + 1);
    double sum = 0;
    for (std::int64_t item = slice; item < n; item += slices)
      if (labels[item] == c) sum += i < d ? x[item * d + i] : 1.0;
    sums[work] = sum;
  }
  team.sync();
  for (std::int64_t entry = team.rank(); entry < each; entry += team.size())
    for (std::int64_t slice = 1; slice < slices; ++slice) sums[entry] += sums[slice * each + entry];
  team.sync();
}

// Does what lloyd (core/lloyd.hpp) does; sums are taken in another order. `sums` has room for lloyd_sums numbers, `partial`
// for one candidate per thread.
template <class Team>
DIPTYCH_HD inline double team_lloyd(const Team& team, const double* x, std::int64_t n, int d, int k,
                                    int max_iter, double threshold, double* centers, std::int64_t* labels,
                                    double* sums, Candidate<double>* partial) {
  const int rank = team.rank(), size = team.size();
  auto* partial_sums = reinterpret_cast<double*>(partial);
  for (int step = 0;; ++step) {
    double inertia = 0;
    Candidate<double> worst{0, -1};
    for (std::int64_t item = rank; item < n; item += size) {
      int label = 0;
      const double distance = nearest_center(x + item * d, centers, k, d, label);
      labels[item] = label;
      inertia += distance;
      worst = Larger<double>()(worst, {distance, item});
    }
    inertia = team_reduce(team, inertia, Sum(), partial_sums);
    if (step == max_iter || threshold < 0) return inertia;
    worst = team_reduce(team, worst, Larger<double>(), partial);
    team_cluster_sums(team, x, labels, n, d, k, sums);
    double shift = 0;
    for (std::int64_t entry = rank; entry < static_cast<std::int64_t>(k) * d; entry += size) {
      const std::int64_t c = entry / d, i = entry % d;
      const double count = sums[c * (d + 1) + d];
      const double to = count > 0 ? sums[c * (d + 1) + i] / count : x[worst.item * d + i];
      const double gap = to - centers[entry];
      shift += gap * gap;
      centers[entry] = to;
    }
    shift = team_reduce(team, shift, Sum(), partial_sums);
    if (shift <= threshold) threshold = -1;
  }
}

}  // namespace diptych::core::DIPTYCH_ISA
