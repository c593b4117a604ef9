// Which pairs of a row are kept where not all can be: the nearest ones surely, of the others a few by chance.
#pragma once

#include <cstdint>

#include "counter.hpp"
#include "difference.hpp"

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

// Entries that are looked at together: most groups hold nothing to keep.
constexpr std::int64_t kGroup = 16;

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

// Writes the columns of the near pairs and those from the threshold on, at most `room`; returns how many.
inline std::int64_t keep_sure(const float* weights, std::int64_t n, float threshold, std::int64_t room,
                              std::int32_t* columns) {
  std::int64_t count = 0;
  for (std::int64_t begin = 0; begin < n; begin += kGroup) {
    const std::int64_t end = begin + kGroup < n ? begin + kGroup : n;
    std::int32_t any = 0;
#pragma omp simd reduction(| : any)
    for (std::int64_t j = begin; j < end; ++j) any |= (weights[j] == kNear) | (weights[j] >= threshold);
    if (any == 0) continue;
    for (std::int64_t j = begin; j < end && count < room; ++j)
      if (weights[j] == kNear || weights[j] >= threshold) columns[count++] = static_cast<std::int32_t>(j);
  }
  return count;
}

// The weights of a group that are below the threshold, others as 0; returns their sum.
inline float drawable(const float* weights, std::int64_t count, float threshold, float* parts) {
  if (count == kGroup) {
    for (std::int64_t k = 0; k < kGroup; ++k)
      parts[k] = (weights[k] > 0.0f) & (weights[k] < threshold) ? weights[k] : 0.0f;
  } else {
    for (std::int64_t k = 0; k < kGroup; ++k)
      parts[k] = k < count && weights[k] > 0.0f && weights[k] < threshold ? weights[k] : 0.0f;
  }
  float sums[kGroup / 2];
  for (int k = 0; k < 8; ++k) sums[k] = parts[k] + parts[k + 8];
  for (int k = 0; k < 4; ++k) sums[k] += sums[k + 4];
  return (sums[0] + sums[2]) + (sums[1] + sums[3]);
}

// Draws pairs below the threshold, as many as its budget left, into columns: one where each of so many equal
// parts of the summed weights is hit by a point of its own. A pair is so drawn w / threshold times on average.
inline std::int64_t draw_pairs(const float* weights, std::int64_t n, Threshold threshold, CounterUniform uniform,
                               std::int32_t* columns) {
  const double scale = 1.0 / threshold.weight;
  std::int64_t drawn = 0, last = -1;
  double reached = 0, point = uniform(0);
  const auto take = [&](std::int64_t column) {
    columns[drawn++] = static_cast<std::int32_t>(column);
    point = static_cast<double>(drawn) + uniform(drawn);
  };
  for (std::int64_t begin = 0; begin < n && drawn < threshold.drawn; begin += kGroup) {
    const std::int64_t count = n - begin < kGroup ? n - begin : kGroup;
    float parts[kGroup];
    const double next = reached + scale * drawable(weights + begin, count, threshold.weight, parts);
    if (point < next || begin + kGroup >= n) {
      for (std::int64_t k = 0; k < count; ++k) {
        if (parts[k] == 0.0f) continue;
        last = begin + k;
        reached += scale * parts[k];
        while (point < reached && drawn < threshold.drawn) take(last);
      }
      while (point < next && drawn < threshold.drawn) take(last);
    }
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
  std::int32_t near = 0;
#pragma omp simd reduction(+ : near)
  for (std::int64_t j = 0; j < n; ++j) near += weights[j] == kNear;
  const Threshold threshold = threshold_of(weights, n, plan.width - near);
  std::int64_t count = keep_sure(weights, n, threshold.weight, plan.width, columns);
  sample.sure = static_cast<std::int32_t>(count);
  const std::int64_t room = plan.width - count;
  const Threshold drawn{threshold.weight, threshold.drawn < room ? threshold.drawn : room};
  count += draw_pairs(weights, n, drawn, CounterUniform(plan.seed, self), columns + count);
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
