#include "../core/sampled.hpp"
#include "buffer.hpp"
#include "kernels.hpp"
#include "thin_rows.hpp"

namespace diptych::cpu::DIPTYCH_ISA {

namespace {

using core::DIPTYCH_ISA::RowSample;
using core::DIPTYCH_ISA::SamplePlan;

// Entries whose weights are computed at once.
constexpr std::int64_t kRun = 64;

// Columns are cut into strips, each of which one thread adds to: what it adds to then stays in its level-2 cache,
// unless there are so many strips that to find their pairs in a row costs more.
constexpr std::int64_t kStrip = 8192, kStrips = 16;

// A row's pairs, as one direction sees them: F = exp(sign y).
struct Row {
  const std::int32_t* columns;
  const float* values;
  std::int64_t sure, count;
  float scale;
};

Row row_of(const SampledPairs& pairs, std::int64_t i) {
  return {pairs.columns + pairs.starts[i], pairs.values + pairs.starts[i], pairs.counts[2 * i],
          pairs.counts[2 * i + 1], pairs.scales[i]};
}

// (F - 1) / probability of up to kRun pairs that are all sure, or all drawn: there F - 1 has the size of the
// weight that pairs were drawn by, or exp(-|y|) times that.
void weights_of(const float* values, std::int64_t count, bool sure, float sign, float scale, float* weights) {
  if (sure) {
#pragma omp simd
    for (std::int64_t e = 0; e < count; ++e) weights[e] = core::DIPTYCH_ISA::exponential(sign * values[e]) - 1.0f;
  } else {
#pragma omp simd
    for (std::int64_t e = 0; e < count; ++e) {
      const float y = sign * values[e];
      const float less = core::DIPTYCH_ISA::exponential(-std::fabs(y));
      weights[e] = scale * (y > 0.0f ? 1.0f : -less);
    }
  }
}

// The first place from `begin` on whose column is not below `column`.
std::int64_t place_of(const std::int32_t* columns, std::int64_t begin, std::int64_t end, std::int64_t column) {
  while (begin < end) {
    const std::int64_t middle = begin + (end - begin) / 2;
    if (columns[middle] < column) begin = middle + 1;
    else end = middle;
  }
  return begin;
}

// The logarithm of a pair's affinity, 0 where the row does not hold it: as if both representations agreed.
float looked_up(const Row& row, std::int64_t column) {
  const std::int64_t sure = place_of(row.columns, 0, row.sure, column);
  if (sure < row.sure && row.columns[sure] == column) return row.values[sure];
  const std::int64_t drawn = place_of(row.columns, row.sure, row.count, column);
  return drawn < row.count && row.columns[drawn] == column ? row.values[drawn] : 0.0f;
}

// The sum of pairs' weights times their columns' rows of x.
struct Sums {
  static constexpr int lanes = kVectorBytes / sizeof(float);
  Register<float> parts[kParts<float>] = {};

  void add(float weight, const float* x) {
    for (int p = 0; p < kParts<float>; ++p) {
      Register<float> part;
      __builtin_memcpy(&part, x + p * lanes, sizeof part);
      parts[p] += weight * part;
    }
  }
};

void gather(const Row& row, std::int64_t begin, std::int64_t end, bool sure, float sign, const float* x,
            Sums& total) {
  Sums sums = total;
  float weights[kRun];
  for (; begin < end; begin += kRun) {
    const std::int64_t count = end - begin < kRun ? end - begin : kRun;
    weights_of(row.values + begin, count, sure, sign, row.scale, weights);
    for (std::int64_t e = 0; e < count; ++e)
      sums.add(weights[e], x + row.columns[begin + e] * std::int64_t{kBlockWidth});
  }
  total = sums;
}

// The rows of `out`, which begin at item `first`, of the pairs' columns += half the weights times the row's own x.
void scatter(const Row& row, std::int64_t begin, std::int64_t end, bool sure, float sign, const float* x,
             std::int64_t first, float* out) {
  float weights[kRun];
  Sums half;
  half.add(0.5f, x);
  for (; begin < end; begin += kRun) {
    const std::int64_t count = end - begin < kRun ? end - begin : kRun;
    weights_of(row.values + begin, count, sure, sign, row.scale, weights);
    for (std::int64_t e = 0; e < count; ++e) {
      float* to = out + (row.columns[begin + e] - first) * std::int64_t{kBlockWidth};
      for (int p = 0; p < kParts<float>; ++p) {
        Register<float> part;
        __builtin_memcpy(&part, to + p * Sums::lanes, sizeof part);
        part += weights[e] * half.parts[p];
        __builtin_memcpy(to + p * Sums::lanes, &part, sizeof part);
      }
    }
  }
}

// The k largest affinities of a row so far, largest first, ties by index.
struct Best {
  float* affinities;
  std::int64_t* neighbors;
  int k, held;

  bool full() const { return held == k; }
  float least() const { return affinities[held - 1]; }
  bool before(int place, float affinity, std::int64_t neighbor) const {
    return affinities[place] != affinity ? affinities[place] > affinity : neighbors[place] < neighbor;
  }

  void offer(float affinity, std::int64_t neighbor) {
    if (full() && before(held - 1, affinity, neighbor)) return;
    int place = full() ? held - 1 : held++;
    for (; place > 0 && !before(place - 1, affinity, neighbor); --place) {
      affinities[place] = affinities[place - 1];
      neighbors[place] = neighbors[place - 1];
    }
    affinities[place] = affinity;
    neighbors[place] = neighbor;
  }
};

}  // namespace

template <class T>
void sample_pairs(const T* a, const T* b, std::int64_t rows, std::int64_t n, std::int64_t first, Difference kind,
                  double gamma, double beta, double offset, std::int64_t neighbors, std::uint64_t seed,
                  std::int64_t width, std::int32_t* columns, float* values, std::int32_t* counts, float* scales,
                  double* sizes, int threads) {
  const SamplePlan plan{core::DIPTYCH_ISA::sensitivity<float>(gamma), static_cast<float>(beta),
                        static_cast<float>(offset), neighbors, width, seed};
  if (rows * n < kWorthThreads) threads = 1;
  const Buffer<float> scratch(2 * n * threads);
#pragma omp parallel for num_threads(threads) schedule(static)
  for (std::int64_t r = 0; r < rows; ++r) {
    float* own = scratch.data() + 2 * n * thread_index();
    const auto pick = kind == Difference::subtraction
                          ? core::DIPTYCH_ISA::sample_row<Difference::subtraction, T>
                          : core::DIPTYCH_ISA::sample_row<Difference::locally_biased, T>;
    const RowSample sample =
        pick(a + r * n, b + r * n, n, first + r, plan, own, columns + r * width, values + r * width);
    counts[2 * r] = sample.sure;
    counts[2 * r + 1] = sample.count;
    scales[r] = sample.scale;
    sizes[r] = sample.size;
  }
}

void sampled_product(const SampledShare& share, float sign, const float* x, float* out, int threads) {
  const std::int64_t n = share.back.rows, rows = share.own.rows, first = share.first;
  double total[kBlockWidth] = {};
  for (std::int64_t i = 0; i < n; ++i)
    for (int k = 0; k < kBlockWidth; ++k) total[k] += x[i * kBlockWidth + k];
#pragma omp parallel for num_threads(threads) schedule(static)
  for (std::int64_t r = 0; r < rows; ++r) {
    const Row row = row_of(share.own, r);
    Sums sums;
    gather(row, 0, row.sure, true, sign, x, sums);
    gather(row, row.sure, row.count, false, sign, x, sums);
    float own[kBlockWidth];
    __builtin_memcpy(own, sums.parts, sizeof own);
    for (int k = 0; k < kBlockWidth; ++k)
      out[r * kBlockWidth + k] = static_cast<float>(total[k]) + 0.5f * own[k];
  }
  std::int64_t strips = rows / kStrip < kStrips ? rows / kStrip : kStrips;
  if (strips < threads) strips = threads;
  const std::int64_t strip = (rows + strips - 1) / strips;
  // A strip's sums are taken in the order of the rows, however many strips there are.
#pragma omp parallel for num_threads(threads) schedule(dynamic, 1)
  for (std::int64_t s = 0; s < strips; ++s) {
    const std::int64_t low = first + s * strip, high = low + strip;
    for (std::int64_t i = 0; i < n && s * strip < rows; ++i) {
      const Row row = row_of(share.back, i);
      const float* own = x + i * kBlockWidth;
      const std::int64_t sure = place_of(row.columns, 0, row.sure, low);
      scatter(row, sure, place_of(row.columns, sure, row.sure, high), true, sign, own, first, out);
      const std::int64_t drawn = place_of(row.columns, row.sure, row.count, low);
      scatter(row, drawn, place_of(row.columns, drawn, row.count, high), false, sign, own, first, out);
    }
  }
}

void sampled_entries(const SampledShare& share, float sign, const std::int64_t* i, const std::int64_t* j,
                     std::int64_t count, float* out, int threads) {
#pragma omp parallel for num_threads(count < kWorthThreads ? 1 : threads) schedule(static)
  for (std::int64_t e = 0; e < count; ++e) {
    const float there = looked_up(row_of(share.own, i[e] - share.first), j[e]);
    const float back = looked_up(row_of(share.back, j[e]), i[e]);
    out[e] = 0.5f * (core::DIPTYCH_ISA::exponential(sign * there) + core::DIPTYCH_ISA::exponential(sign * back));
  }
}

void sampled_knn(const SampledShare& share, float sign, const std::int64_t* labels, int k, float* scores,
                 std::int64_t* neighbors, int threads) {
  const Buffer<float> scratch(static_cast<std::size_t>(k) * threads);
#pragma omp parallel for num_threads(threads) schedule(dynamic, 64)
  for (std::int64_t r = 0; r < share.own.rows; ++r) {
    const std::int64_t i = share.first + r;
    const Row row = row_of(share.own, r);
    Best best{scratch.data() + k * thread_index(), neighbors + r * k, k, 0};
    for (std::int64_t e = 0; e < row.count; ++e) {
      const std::int64_t j = row.columns[e];
      if (labels[j] != labels[i] || labels[i] < 0 || (e > row.sure && row.columns[e - 1] == j)) continue;
      const float there = core::DIPTYCH_ISA::exponential(sign * row.values[e]);
      if (best.full() && 0.5f * (there + share.most) < best.least()) continue;
      const float back = core::DIPTYCH_ISA::exponential(sign * looked_up(row_of(share.back, j), i));
      best.offer(0.5f * (there + back), j);
    }
    float score = 0;
    for (int place = 0; place < best.held; ++place) score += best.affinities[place];
    for (int place = best.held; place < k; ++place) neighbors[r * k + place] = -1;
    scores[r] = score;
  }
}

template void sample_pairs(const std::int32_t*, const std::int32_t*, std::int64_t, std::int64_t, std::int64_t,
                           Difference, double, double, double, std::int64_t, std::uint64_t, std::int64_t,
                           std::int32_t*, float*, std::int32_t*, float*, double*, int);
template void sample_pairs(const float*, const float*, std::int64_t, std::int64_t, std::int64_t, Difference,
                           double, double, double, std::int64_t, std::uint64_t, std::int64_t, std::int32_t*,
                           float*, std::int32_t*, float*, double*, int);

}  // namespace diptych::cpu::DIPTYCH_ISA
