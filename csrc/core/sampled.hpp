// Which pairs of a row are kept where not all can be: the nearest ones surely, of the others a few by chance.
#pragma once

#include <cstdint>

#include "difference.hpp"

namespace diptych::core {

// The finaliser of splitmix64 (Steele, Lea & Flood 2014): every bit of x moves every bit of the result.
DIPTYCH_HD inline std::uint64_t scrambled(std::uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
  return x ^ (x >> 31);
}

// A number in [0, 1) that depends on its three counters alone.
DIPTYCH_HD inline double counter_uniform(std::uint64_t seed, std::uint64_t row, std::uint64_t draw) {
  constexpr std::uint64_t step = 0x9e3779b97f4a7c15ull;
  const std::uint64_t stream = scrambled(scrambled(seed + step) + (row + 1) * step);
  return static_cast<double>(scrambled(stream + (draw + 1) * step) >> 11) * 0x1p-53;
}

}  // namespace diptych::core

namespace diptych::core::DIPTYCH_ISA {

// How affinities are made of ranks or distances, and how many pairs of a row are kept.
struct SamplePlan {
  float gamma, beta, offset;
  std::int64_t neighbors, width;
  std::uint64_t seed;
};

// A row's kept pairs. Sure ones come first, then drawn ones, both by ascending column; `scale` is what 1 / c is
// where pairs are drawn with probability c (exp|y| - 1), y being the logarithm of the affinity.
struct RowSample {
  std::int32_t sure, count;
  float scale;
  double size;  // mean |y|
};

// Marks of pairs that take no part in the draw, in place of their weight.
constexpr float kNear = -1, kSelf = -2;

// Sums of a stretch are taken in float, of stretches in double.
constexpr std::int64_t kStretch = 1024;

// The bits of the k-th smallest entry >= 0 of a row without its own.
inline std::int32_t kth_smallest(const float* row, std::int64_t n, std::int64_t self, std::int64_t k) {
  std::int32_t low = 0, high = 0x7f800000;
  while (low < high) {
    const std::int32_t middle = low + (high - low) / 2;
    const float bound = number_of<float>(static_cast<std::uint32_t>(middle));
    std::int32_t count = row[self] <= bound ? -1 : 0;
    for (std::int64_t j = 0; j < n; ++j) count += row[j] <= bound;
    if (count >= k) high = middle;
    else low = middle + 1;
  }
  return high;
}

// Marks the k nearest of a row of ranks.
inline void mark_near(const std::int32_t* row, std::int64_t n, std::int64_t, std::int64_t k, float* weights) {
  const auto last = static_cast<std::int32_t>(k);
#pragma omp simd
  for (std::int64_t j = 0; j < n; ++j) weights[j] = row[j] <= last ? kNear : weights[j];
}

// Marks the k nearest of a row of distances, ties by index.
inline void mark_near(const float* row, std::int64_t n, std::int64_t self, std::int64_t k, float* weights) {
  const float last = number_of<float>(static_cast<std::uint32_t>(kth_smallest(row, n, self, k)));
  std::int64_t below = row[self] < last ? -1 : 0;
  for (std::int64_t j = 0; j < n; ++j) below += row[j] < last;
  for (std::int64_t j = 0; j < n; ++j) {
    if (j == self || row[j] > last) continue;
    if (row[j] == last && ++below > k) continue;
    weights[j] = kNear;
  }
}

// logs[j] = y and weights[j] = exp|y| - 1, which is the larger of |F - 1| in both directions; returns sum |y|.
template <Difference kind, class T>
inline double weigh_row(const T* a, const T* b, std::int64_t n, const SamplePlan& plan, float* logs,
                        float* weights) {
  double total = 0;
  for (std::int64_t begin = 0; begin < n; begin += kStretch) {
    const std::int64_t end = begin + kStretch < n ? begin + kStretch : n;
    float sum = 0;
#pragma omp simd reduction(+ : sum)
    for (std::int64_t j = begin; j < end; ++j) {
      const float y = -scaled_difference<kind>(static_cast<float>(a[j]), static_cast<float>(b[j]), plan.gamma,
                                               plan.beta, plan.offset);
      logs[j] = y;
      weights[j] = exponential(std::fabs(y)) - 1.0f;
      sum += std::fabs(y);
    }
    total += sum;
  }
  return total;
}

// The number of weights from a threshold on, and the sum of those below it.
struct Split {
  std::int64_t above;
  double below;
};

inline Split split_at(const float* weights, std::int64_t n, float threshold) {
  Split split{0, 0};
  for (std::int64_t begin = 0; begin < n; begin += kStretch) {
    const std::int64_t end = begin + kStretch < n ? begin + kStretch : n;
    float sum = 0;
    std::int32_t above = 0;
#pragma omp simd reduction(+ : sum, above)
    for (std::int64_t j = begin; j < end; ++j) {
      const float weight = weights[j] > 0.0f ? weights[j] : 0.0f;
      sum += weight < threshold ? weight : 0.0f;
      above += weight >= threshold;
    }
    split.above += above;
    split.below += sum;
  }
  return split;
}

// From what weight on a pair is kept for sure, so that min(1, w / threshold) sums to `budget`; `drawn` is the
// rest of the budget.
struct Threshold {
  float weight;
  std::int64_t drawn;
};

inline Threshold threshold_of(const float* weights, std::int64_t n, std::int64_t budget) {
  Threshold threshold{std::numeric_limits<float>::infinity(), 0};
  Split split = split_at(weights, n, threshold.weight);
  for (std::int64_t above = 0; budget > above && split.below > 0;) {
    threshold = {static_cast<float>(split.below / static_cast<double>(budget - above)), budget - above};
    split = split_at(weights, n, threshold.weight);
    // What is above one threshold is above the next, which is never higher.
    if (split.above <= above) return threshold;
    above = split.above;
    threshold.drawn = 0;
  }
  return threshold;
}

// Draws pairs below the threshold, as many as its budget left, into columns: one where each of so many equal
// parts of the summed weights is hit by a point of its own. A pair is so drawn w / threshold times on average.
inline std::int64_t draw_pairs(const float* weights, std::int64_t n, Threshold threshold, std::uint64_t seed,
                               std::int64_t row, std::int32_t* columns) {
  constexpr std::int64_t group = 16;
  const double scale = 1.0 / threshold.weight;
  std::int64_t drawn = 0, last = -1;
  double reached = 0, point = counter_uniform(seed, row, 0);
  const auto take = [&](std::int64_t column) {
    columns[drawn++] = static_cast<std::int32_t>(column);
    point = static_cast<double>(drawn) + counter_uniform(seed, row, drawn);
  };
  for (std::int64_t begin = 0; begin < n && drawn < threshold.drawn; begin += group) {
    const std::int64_t end = begin + group < n ? begin + group : n;
    float parts[group] = {}, sum = 0;
    for (std::int64_t j = begin; j < end; ++j)
      parts[j - begin] = weights[j] > 0.0f && weights[j] < threshold.weight ? weights[j] : 0.0f;
    for (int k = 0; k < group; ++k) sum += parts[k];
    const double next = reached + scale * sum;
    for (std::int64_t j = begin; j < end && (point < next || j + group >= n); ++j) {
      if (parts[j - begin] == 0.0f) continue;
      last = j;
      reached += scale * parts[j - begin];
      while (point < reached && drawn < threshold.drawn) take(j);
    }
    while (point < next && drawn < threshold.drawn) take(last);
    reached = next;
  }
  // The last part may end a rounding error above the sum.
  while (last >= 0 && drawn < threshold.drawn) take(last);
  return drawn;
}

// Chooses the pairs of row `self`: columns and logarithms of affinities (width,) each; scratch holds 2 n floats.
template <Difference kind, class T>
inline RowSample sample_row(const T* a, const T* b, std::int64_t n, std::int64_t self, const SamplePlan& plan,
                            float* scratch, std::int32_t* columns, float* values) {
  float *logs = scratch, *weights = scratch + n;
  RowSample sample{};
  sample.size = weigh_row<kind>(a, b, n, plan, logs, weights) / static_cast<double>(n);
  mark_near(a, n, self, plan.neighbors, weights);
  mark_near(b, n, self, plan.neighbors, weights);
  weights[self] = kSelf;
  std::int64_t near = 0;
  for (std::int64_t j = 0; j < n; ++j) near += weights[j] == kNear;
  const Threshold threshold = threshold_of(weights, n, plan.width - near);
  std::int64_t count = 0;
  for (std::int64_t j = 0; j < n; ++j)
    if ((weights[j] == kNear || weights[j] >= threshold.weight) && count < plan.width)
      columns[count++] = static_cast<std::int32_t>(j);
  sample.sure = static_cast<std::int32_t>(count);
  const std::int64_t room = plan.width - count;
  const Threshold drawn{threshold.weight, threshold.drawn < room ? threshold.drawn : room};
  count += draw_pairs(weights, n, drawn, plan.seed, self, columns + count);
  sample.count = static_cast<std::int32_t>(count);
  sample.scale = threshold.weight;
  for (std::int64_t e = 0; e < count; ++e) values[e] = logs[columns[e]];
  for (std::int64_t e = count; e < plan.width; ++e) {
    columns[e] = static_cast<std::int32_t>(self);
    values[e] = 0.0f;
  }
  return sample;
}

}  // namespace diptych::core::DIPTYCH_ISA
