// The algorithms that a team of threads runs, by OpenMP threads: the code that a block runs on a GPU.
#include <omp.h>

#include "../core/knn_row.hpp"
#include "../core/knn_team.hpp"
#include "../core/lloyd_team.hpp"
#include "../core/rank_team.hpp"
#include "../cpu/dispatch.hpp"
#include "check.hpp"
#include "data.hpp"

using namespace diptych::core::DIPTYCH_ISA;
using namespace diptych::tests;

namespace {

constexpr int kTeams[] = {1, 4};
// Beside one of every kind of place: alone, around a team's size, and more than a bin for each item.
constexpr std::int64_t kTeamSizes[] = {1, 2, 3, 8, 33, 127, 1023};

struct OpenMPTeam {
  int rank() const { return omp_get_thread_num(); }
  int size() const { return omp_get_num_threads(); }
  void sync() const {
#pragma omp barrier
  }
  static std::uint32_t add(std::uint32_t* number, std::uint32_t value) {
    std::uint32_t before;
#pragma omp atomic capture
    {
      before = *number;
      *number += value;
    }
    return before;
  }
};

template <class F, class Item>
std::vector<std::int32_t> ranks_by_team(const std::vector<F>& row, std::int64_t self, int size, bool digits) {
  const auto n = static_cast<std::int64_t>(row.size());
  std::vector<Item> items(n, Item(-1));
  std::vector<std::uint64_t> counts(kTeamShare / 2 * size, 0xdeadbeefdeadbeef), partial(size);
  std::vector<std::int32_t> ranks(n, -1);
  const RankTeamMemory<Item> memory{items.data(), reinterpret_cast<std::uint32_t*>(counts.data()),
                                    reinterpret_cast<std::uint32_t*>(partial.data())};
#pragma omp parallel num_threads(size)
  if (digits)
    team_rank_by_digits(OpenMPTeam(), row.data(), n, self, memory, ranks.data());
  else
    team_rank_row(OpenMPTeam(), row.data(), n, self, memory, ranks.data());
  return ranks;
}

template <class F, class Item>
void check_ranks() {
  for (const int size : kTeams)
    for (const std::int64_t n : kTeamSizes)
      for (const Values kind : kValues)
        for (const std::int64_t self : {std::int64_t(0), n - 1}) {
          const std::vector<F> row = values<F>(kind, n, 7);
          const std::vector<std::int32_t> expected = ranks_by_sorting(row.data(), n, self);
          for (const bool digits : {false, true})
            CHECK((ranks_by_team<F, Item>(row, self, size, digits) == expected),
                  label(kind, n) + (digits ? ", by digits" : ", by bins"));
        }
}

template <class F>
void check_bins() {
  using Key = typename KeyOf<F>::type;
  constexpr int bins = 64;
  for (const Values kind : kValues) {
    std::vector<F> row = values<F>(kind, 1023, 3);
    std::sort(row.begin(), row.end());
    KeySpan<Key> span{~Key(0), ~Key(0), 0};
    for (const F value : row) {
      const Key key = order_key(value);
      span = WiderSpan<Key>()(span, {key, key > kZeroKey<Key> ? key : ~Key(0), key});
    }
    const KeyBins<Key> bin_of(span, bins);
    int last = 0;
    for (const F value : row) {
      const int bin = bin_of(order_key(value));
      CHECK(bin >= last && bin < bins, label(kind, bin));
      last = bin;
    }
  }
}

template <class F>
void check_neighbors() {
  std::mt19937 random(5);
  for (const int size : kTeams)
    for (const std::int64_t n : kTeamSizes)
      for (const Values kind : {Values::few_distinct, Values::uniform, Values::constant, Values::signs}) {
        const std::vector<F> row = values<F>(kind, n, 3);
        std::vector<std::int64_t> labels(n);
        for (std::int64_t& tag : labels) tag = static_cast<std::int64_t>(random() % 4) - 1;
        for (const int k : {1, 8, 40}) {
          const std::int64_t self = n / 2;
          std::vector<F> best(k);
          std::vector<std::int64_t> expected(k, -1), found(k, -2);
          const int count = knn_of_row(row.data(), labels.data(), n, self, k, best.data(), expected.data());
          F sum = 0;
          for (int place = 0; place < count; ++place) sum += best[place];
          std::fill(expected.begin() + count, expected.end(), -1);
          std::vector<Candidate<F>> partial(size);
          std::vector<F> sums(size);
#pragma omp parallel num_threads(size)
          sums[omp_get_thread_num()] = team_knn_of_row(OpenMPTeam(), row.data(), labels.data(), n, self, k,
                                                       partial.data(), found.data());
          CHECK(found == expected, label(kind, n));
          for (const F each : sums) CHECK(each == sum, label(kind, n));
        }
      }
}

}  // namespace

TEST(a_team_ranks_as_sorting_does_float) { check_ranks<float, std::uint32_t>(); }
TEST(a_team_ranks_as_sorting_does_double) { check_ranks<double, std::uint32_t>(); }
TEST(a_team_ranks_with_short_items) { check_ranks<float, std::uint16_t>(); }

TEST(bins_keep_the_order_of_keys) {
  check_bins<float>();
  check_bins<double>();
}

TEST(a_team_finds_the_neighbors_that_one_thread_finds) {
  check_neighbors<float>();
  check_neighbors<double>();
}

TEST(a_team_clusters_as_one_thread_does) {
  // Integers, and means of few of them: sums are exact in any order, and so are the labels.
  for (const int size : kTeams)
    for (const std::int64_t n : {std::int64_t(3), std::int64_t(64), std::int64_t(200)})
      for (const int d : {1, 3})
        for (const int k : {1, 2, 3}) {
          const std::vector<double> x = values<double>(Values::integers, n * d, 9);
          std::vector<double> start(x.begin(), x.begin() + k * d);
          if (k == 3) std::copy(start.begin(), start.begin() + d, start.begin() + d);  // one without items
          std::vector<double> expected = start, found = start;
          std::vector<std::int64_t> labels(n), team_labels(n, -1);
          double inertia = 0;
          diptych::cpu::operations().kmeans(x.data(), n, d, k, 1, 50, 1e-4, expected.data(), labels.data(),
                                            &inertia, 1);
          std::vector<double> team_sums(lloyd_sums(size, d, k)), inertias(size);
          std::vector<Candidate<double>> partial(size);
#pragma omp parallel num_threads(size)
          inertias[omp_get_thread_num()] =
              team_lloyd(OpenMPTeam(), x.data(), n, d, k, 50, 1e-4, found.data(), team_labels.data(),
                         team_sums.data(), partial.data());
          CHECK(team_labels == labels, std::to_string(n));
          for (std::size_t i = 0; i < found.size(); ++i)
            CHECK(std::abs(found[i] - expected[i]) <= 1e-12 * 100, std::to_string(found[i]));
          for (const double each : inertias)
            CHECK(std::abs(each - inertia) <= 1e-12 * (1 + inertia), std::to_string(each));
        }
}
