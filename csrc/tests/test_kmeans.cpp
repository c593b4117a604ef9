// k-means, its starting centres and its steps, at the instruction set in use.
#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "../cpu/dispatch.hpp"
#include "check.hpp"
#include "data.hpp"

namespace {

using namespace diptych::tests;
using diptych::cpu::operations;

double squared_distance(const std::vector<double>& x, std::int64_t i, std::int64_t j, int d) {
  double sum = 0;
  for (int c = 0; c < d; ++c) sum += (x[i * d + c] - x[j * d + c]) * (x[i * d + c] - x[j * d + c]);
  return sum;
}

// The items that become centres, one restart by its definition.
std::vector<std::int64_t> seeds_by_definition(const std::vector<double>& x, std::int64_t n, int d, int k,
                                              std::int64_t first, const double* draws, std::int64_t stride,
                                              int candidates) {
  std::vector<std::int64_t> seeds = {first};
  std::vector<double> nearest(n);
  for (std::int64_t i = 0; i < n; ++i) nearest[i] = squared_distance(x, i, first, d);
  for (int c = 1; c < k; ++c) {
    std::vector<double> cumulative(n), best;
    double total = 0, least = std::numeric_limits<double>::infinity();
    for (std::int64_t i = 0; i < n; ++i) cumulative[i] = total += nearest[i];
    std::int64_t winner = -1;
    for (int t = 0; t < candidates; ++t) {
      const double target = draws[(c - 1) * stride + t] * total;
      const auto found = std::lower_bound(cumulative.begin(), cumulative.end(), target) - cumulative.begin();
      const std::int64_t item = std::min<std::int64_t>(found, n - 1);
      std::vector<double> reduced(n);
      double sum = 0;
      for (std::int64_t i = 0; i < n; ++i)
        sum += reduced[i] = std::min(nearest[i], squared_distance(x, i, item, d));
      if (sum < least) least = sum, winner = item, best = reduced;
    }
    seeds.push_back(winner);
    nearest = best;
  }
  return seeds;
}

}  // namespace

// Integers: sums and squares are exact, so that no order of summation decides between candidates.
TEST(kmeans_starts_where_greedy_seeding_says) {
  constexpr int restarts = 3, candidates = 4;
  for (const int d : {1, 3, 17})
    for (const std::int64_t n : {1, 2, 31, 32, 33, 257})
      for (const int k : {1, 2, 7}) {
        if (k > n) continue;
        const std::vector<double> x = values<double>(Values::integers, n * d, 71);
        std::mt19937 random(73);
        std::uniform_real_distribution<double> uniform(0, 1);
        std::vector<double> draws((k - 1) * restarts * candidates);
        for (double& draw : draws) draw = uniform(random);
        std::vector<std::int64_t> firsts(restarts);
        for (std::int64_t& item : firsts) item = static_cast<std::int64_t>(random() % n);
        for (const int threads : {1, 2}) {
          std::vector<double> centers(restarts * k * d, NAN);
          operations().kmeans_seeds(x.data(), n, d, k, restarts, firsts.data(), draws.data(), candidates,
                                    centers.data(), threads);
          for (int r = 0; r < restarts; ++r) {
            const auto seeds = seeds_by_definition(x, n, d, k, firsts[r], draws.data() + r * candidates,
                                                   restarts * candidates, candidates);
            for (int c = 0; c < k; ++c)
              for (int i = 0; i < d; ++i)
                CHECK(
                    centers[(r * k + c) * d + i] == x[seeds[c] * d + i],
                    "n " + std::to_string(n) + ", d " + std::to_string(d) + ", centre " + std::to_string(c));
          }
        }
      }
}

TEST(kmeans_settles_where_each_center_is_the_mean_of_its_items) {
  constexpr int d = 3, k = 4, restarts = 5;
  for (const std::int64_t n : {std::int64_t(4), std::int64_t(33), std::int64_t(1023)}) {
    const std::vector<double> x = values<double>(Values::uniform, n * d, 53);
    std::vector<double> start(restarts * k * d);
    for (int r = 0; r < restarts; ++r)
      for (int c = 0; c < k; ++c) std::copy_n(&x[(c * 7 + r) % n * d], d, &start[(r * k + c) * d]);
    std::vector<double> centers = start, centers2 = start, inertia(restarts), inertia2(restarts);
    std::vector<std::int64_t> labels(restarts * n), labels2(restarts * n);
    operations().kmeans(x.data(), n, d, k, restarts, 1000, 0.0, centers.data(), labels.data(), inertia.data(),
                        1);
    operations().kmeans(x.data(), n, d, k, restarts, 1000, 0.0, centers2.data(), labels2.data(),
                        inertia2.data(), 2);
    CHECK(same_bits(centers, centers2) && labels == labels2 && same_bits(inertia, inertia2), "threads");
    for (int r = 0; r < restarts; ++r) {
      long double total = 0;
      std::vector<long double> sums(k * d), counts(k);
      for (std::int64_t i = 0; i < n; ++i) {
        std::vector<long double> to_center(k);
        for (int c = 0; c < k; ++c)
          for (int j = 0; j < d; ++j)
            to_center[c] +=
                std::pow(static_cast<long double>(x[i * d + j]) - centers[(r * k + c) * d + j], 2);
        const std::int64_t label = labels[r * n + i];
        const long double least = *std::min_element(to_center.begin(), to_center.end());
        // d squares of numbers below 100, each rounded.
        CHECK(to_center[label] <= least + 1e4 * 2 * d * std::numeric_limits<double>::epsilon(), "nearest");
        total += to_center[label];
        counts[label] += 1;
        for (int j = 0; j < d; ++j) sums[label * d + j] += x[i * d + j];
      }
      // n additions of d squares, half an ulp each.
      CHECK(std::fabs(inertia[r] - total) <= (n + 2 * d) * std::numeric_limits<double>::epsilon() * total,
            "inertia, n " + std::to_string(n));
      for (int c = 0; c < k * d; ++c)
        if (counts[c / d] > 0)
          CHECK(std::fabs(centers[r * k * d + c] - sums[c] / counts[c / d]) <=
                    (n + 1) * 100 * std::numeric_limits<double>::epsilon(),
                "mean, n " + std::to_string(n));
    }
  }
}
