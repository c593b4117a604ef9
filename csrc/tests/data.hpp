// Inputs and definitions that the tests of the core and of the operations share.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <numeric>
#include <random>
#include <string>
#include <vector>

namespace diptych::tests {

// Around the vector widths (8, 16), the affinity's tile (64), and sizes that fill no vector.
constexpr std::int64_t kSizes[] = {1, 2, 3, 7, 8, 9, 31, 33, 63, 64, 65, 127, 129, 1023};

enum class Values {
  uniform,
  integers,
  few_distinct,
  constant,
  ascending,
  descending,
  duplicates,
  skewed,
  special,
  signs
};
constexpr Values kValues[] = {Values::uniform,   Values::integers,   Values::few_distinct, Values::constant,
                              Values::ascending, Values::descending, Values::duplicates,   Values::skewed,
                              Values::special,   Values::signs};

// Numbers such as distances are; of those with signs, which no distance has, half are negative.
template <class F>
std::vector<F> values(Values kind, std::int64_t count, std::uint32_t seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<double> uniform(0.0, 100.0);
  const F tiny = std::numeric_limits<F>::denorm_min();
  const F special[] = {F(0),
                       -F(0),
                       tiny,
                       2 * tiny,
                       std::numeric_limits<F>::min(),
                       F(1),
                       F(1) + std::numeric_limits<F>::epsilon(),
                       std::numeric_limits<F>::max()};
  std::vector<F> result(count);
  for (std::int64_t i = 0; i < count; ++i) {
    const double draw = uniform(random);
    switch (kind) {
      case Values::uniform:
        result[i] = static_cast<F>(draw);
        break;
      case Values::integers:
        result[i] = std::floor(static_cast<F>(draw));
        break;
      case Values::few_distinct:
        result[i] = static_cast<F>(random() % 3);
        break;
      case Values::constant:
        result[i] = F(2.5);
        break;
      case Values::ascending:
        result[i] = static_cast<F>(i) * F(0.25);
        break;
      case Values::descending:
        result[i] = static_cast<F>(count - i) * F(0.25);
        break;
      case Values::duplicates:
        result[i] = random() % 4 == 0 ? F(0) : static_cast<F>(draw);
        break;
      // Almost all items in one clump far from the largest value, as outliers make them.
      case Values::skewed:
        result[i] = i == count / 2 ? F(1e30) : F(1) + static_cast<F>(draw) * F(1e-6);
        break;
      case Values::special:
        result[i] = special[random() % 8];
        break;
      case Values::signs:
        result[i] = static_cast<F>(draw - 50);
        break;
    }
  }
  return result;
}

inline std::string label(Values kind, std::int64_t n) {
  return "values " + std::to_string(static_cast<int>(kind)) + ", n " + std::to_string(n);
}

// The definition of neighbor ranks: a stable sort of the row, the item itself before everything.
template <class F>
std::vector<std::int32_t> ranks_by_sorting(const F* row, std::int64_t n, std::int64_t self) {
  std::vector<std::int64_t> order(n);
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](std::int64_t i, std::int64_t j) {
    if (i == self || j == self) return i == self && j != self;
    return row[i] < row[j];
  });
  std::vector<std::int32_t> ranks(n);
  for (std::int64_t place = 0; place < n; ++place) ranks[order[place]] = static_cast<std::int32_t>(place);
  return ranks;
}

// The definition of the locally biased difference in the widest type there is.
inline long double biased_definition(long double a, long double b, long double gamma, long double offset) {
  const long double nearest = std::fmin(a, b) + offset;
  if (nearest > 0) return std::tanh(gamma * (a - b) / nearest);
  return a == b ? 0.0L : (a > b ? 1.0L : -1.0L);
}

// The k largest of a row inside self's cluster, by sorting.
template <class F>
std::vector<std::int64_t> knn_by_sorting(const F* row, const std::int64_t* labels, std::int64_t n,
                                         std::int64_t self, int k) {
  std::vector<std::int64_t> members;
  for (std::int64_t j = 0; j < n; ++j)
    if (labels[self] >= 0 && labels[j] == labels[self] && j != self) members.push_back(j);
  std::stable_sort(members.begin(), members.end(),
                   [&](std::int64_t i, std::int64_t j) { return row[i] > row[j]; });
  if (static_cast<int>(members.size()) > k) members.resize(k);
  return members;
}

// How many units in the last place of `exact` the two are apart.
template <class F>
double ulps(F computed, long double exact) {
  const F nearest = static_cast<F>(std::fabs(exact));
  const F step = std::nextafter(nearest, std::numeric_limits<F>::infinity()) - nearest;
  return static_cast<double>(std::fabs(computed - exact) / step);
}

template <class T>
bool same_bits(const std::vector<T>& x, const std::vector<T>& y) {
  return x.size() == y.size() && std::memcmp(x.data(), y.data(), sizeof(T) * x.size()) == 0;
}

// Every `stride`-th float of [from, to] (0 <= from < to) and its negative goes to visit(x).
template <class Visit>
void sweep(float from, float to, std::uint32_t stride, Visit visit) {
  std::uint32_t first, last;
  std::memcpy(&first, &from, sizeof first);
  std::memcpy(&last, &to, sizeof last);
  for (std::uint32_t bits = first; bits <= last; bits += stride) {
    float x;
    std::memcpy(&x, &bits, sizeof x);
    visit(x);
    visit(-x);
  }
}

// What the analysis of core/elementary.hpp allows, in ulps. exp: 0.5 for the last addition; before it 0.25
// each for the sum of the odd powers and that of all powers but the first (numbers below 0.42), 0.06 for the
// even ones, 0.21 for r (its rounding and that of n times ln2's lower part), 0.08 for the series, all in units
// of the ulp of a result in [0.707, 1).
constexpr double kExponentialUlps = 1.35;
// tanh: 0.5 for the division, up to 1 for the rounding of 2 + e, half an ulp of a number in [1, 2), and 1.4
// for e, which is off by as much as exp and 2 / (2 + e) < 2 times as sensitive where it is below 0.5 itself.
constexpr double kTangentUlps = 2.9;

}  // namespace diptych::tests
