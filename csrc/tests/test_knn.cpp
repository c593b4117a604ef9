// The search for nearest neighbors as the dispatch table offers it: tiles, bounds, ties, threads.
#include <cmath>
#include <utility>

#include "../cpu/dispatch.hpp"
#include "check.hpp"
#include "data.hpp"

using namespace diptych::tests;
using diptych::cpu::operations;
using diptych::cpu::Operations;

namespace {

// All distances, in long double, and a stable sort.
template <class E>
std::vector<std::int64_t> nearest_by_sorting(const std::vector<E>& x, const std::vector<E>& y, std::int64_t d,
                                             std::int64_t self, bool exclude_self, int k) {
  const std::int64_t m = static_cast<std::int64_t>(y.size()) / d;
  std::vector<std::pair<long double, std::int64_t>> all;
  for (std::int64_t j = 0; j < m; ++j) {
    long double square = 0;
    for (std::int64_t c = 0; c < d; ++c)
      square += std::pow(static_cast<long double>(x[self * d + c]) - y[j * d + c], 2);
    if (!exclude_self || j != self) all.push_back({square, j});
  }
  std::sort(all.begin(), all.end());
  std::vector<std::int64_t> nearest;
  for (int place = 0; place < k; ++place) nearest.push_back(all[place].second);
  return nearest;
}

// Bounds, products and buffers of a search, as the Python layer makes them.
template <class E>
struct SearchData {
  std::int64_t n, m, d, capacity;
  int k;
  std::vector<E> x, y;
  std::vector<float> low_x, slack_x, low_y, slack_y, values, thresholds;
  std::vector<std::int32_t> items, counts;
  double relative;

  SearchData(Values kind, std::int64_t n_, std::int64_t m_, std::int64_t d_, int k_, bool one, double relative_)
      : n(n_), m(m_), d(d_), capacity(2 * k_ + 32), k(k_), x(values_of(kind, n * d, 71)),
        y(one ? x : values_of(kind, m * d, 73)), relative(relative_) {
    bound(x, low_x, slack_x);
    bound(y, low_y, slack_y);
    values.assign(n * capacity, NAN);
    thresholds.assign(n, std::numeric_limits<float>::infinity());
    items.assign(n * capacity, -7);
    counts.assign(n, 0);
  }

  static std::vector<E> values_of(Values kind, std::int64_t count, std::uint32_t seed) {
    return diptych::tests::values<E>(kind, count, seed);
  }

  void bound(const std::vector<E>& rows, std::vector<float>& low, std::vector<float>& slack) const {
    for (std::size_t i = 0; i < rows.size(); i += d) {
      double norm = 0;
      for (std::int64_t c = 0; c < d; ++c) norm += static_cast<double>(rows[i + c]) * rows[i + c];
      low.push_back(static_cast<float>(norm * (1 - relative)));
      slack.push_back(static_cast<float>(2 * relative * norm));
    }
  }

  diptych::core::NearestSearch<E> search(bool exclude_self) {
    return {{x.data(), low_x.data(), slack_x.data()}, {y.data(), low_y.data(), slack_y.data()}, d, 0, capacity,
            1.0, k, exclude_self, values.data(), items.data(), counts.data(), thresholds.data()};
  }

  std::vector<float> products(std::int64_t row, std::int64_t rows, std::int64_t column, std::int64_t columns) const {
    std::vector<float> result;
    for (std::int64_t i = row; i < row + rows; ++i)
      for (std::int64_t j = column; j < column + columns; ++j) {
        float sum = 0;
        for (std::int64_t c = 0; c < d; ++c)
          sum += static_cast<float>(x[i * d + c]) * static_cast<float>(y[j * d + c]);
        result.push_back(sum);
      }
    return result;
  }
};

// Searches by tiles of 24 x 40, on and above the diagonal only where x and y are the same items.
template <class E>
std::vector<std::int64_t> nearest_by_tiles(Operations::NearestScan<E> scan,
                                           Operations::NearestFinish<E, float> finish, SearchData<E> data,
                                           bool one, int threads) {
  const auto search = data.search(one);
  for (std::int64_t row = 0; row < data.n; row += 24) {
    const std::int64_t rows = std::min<std::int64_t>(24, data.n - row);
    for (std::int64_t column = one ? row : 0; column < data.m;) {
      const bool both = one && column > row;
      const std::int64_t columns = std::min<std::int64_t>(one && !both ? rows : 40, data.m - column);
      const std::vector<float> products = data.products(row, rows, column, columns);
      scan(search, {products.data(), row, rows, column, columns}, both, threads);
      column += columns;
    }
  }
  std::vector<float> distances(data.n * data.k, NAN);
  std::vector<std::int64_t> indices(data.n * data.k, -7);
  finish(search, 0, data.n, true, 1.0, distances.data(), indices.data(), threads);
  for (std::int64_t i = 0; i < data.n * data.k; ++i)
    CHECK(distances[i] >= (i % data.k == 0 ? 0 : distances[i - 1]), "ascending");
  return indices;
}

template <class E>
void check_nearest(Operations::NearestScan<E> scan, Operations::NearestFinish<E, float> finish,
                   Operations::NearestDirect<E, float> direct) {
  constexpr std::int64_t d = 5;
  for (const std::int64_t n : {2, 3, 9, 31, 33, 129, 300})
    for (const Values kind : {Values::uniform, Values::integers, Values::few_distinct, Values::constant,
                              Values::duplicates, Values::signs})
      for (const bool one : {true, false})
        for (const int k : {1, 7, 40}) {
          const std::int64_t m = one ? n : n + 11;
          if (k > m - one) continue;
          // Few distinct values are small integers, whose products are exact. Of a wide bound the exact
          // distances must make up for the rest.
          for (const double relative : {kind == Values::few_distinct ? 0.0 : 1e-5, 0.9}) {
            const SearchData<E> data(kind, n, m, d, k, one, relative);
            const auto found = nearest_by_tiles(scan, finish, data, one, 1);
            CHECK(found == nearest_by_tiles(scan, finish, data, one, 2), "threads, " + label(kind, n));
            std::vector<float> distances(n * k, NAN);
            std::vector<std::int64_t> indices(n * k, -7);
            direct(data.x.data(), data.y.data(), n, m, d, k, one, true, 1.0, distances.data(), indices.data(), 2);
            CHECK(found == indices, "direct, " + label(kind, n) + ", k " + std::to_string(k));
            for (std::int64_t i = 0; i < n; i += 1 + n / 10) {
              const auto expected = nearest_by_sorting(data.x, data.y, d, i, one, k);
              CHECK(std::equal(expected.begin(), expected.end(), &found[i * k]), label(kind, n));
            }
          }
        }
}

}  // namespace

TEST(nearest_of_floats) {
  const Operations& ops = operations();
  check_nearest(ops.nearest_scan_f32, ops.nearest_finish_f32, ops.nearest_direct_f32);
}
TEST(nearest_of_doubles) {
  const Operations& ops = operations();
  check_nearest(ops.nearest_scan_f64, ops.nearest_finish_f64_f32, ops.nearest_direct_f64_f32);
}

TEST(common_neighbors_by_ranks_and_by_indices) {
  for (const std::int64_t n : {2, 3, 63, 64, 65, 300, 700})
    for (const std::int32_t k : {1, 10, 299}) {
      if (k >= n) continue;
      std::vector<std::int32_t> a, b;
      for (std::int64_t i = 0; i < n; ++i)
        for (auto* ranks : {&a, &b}) {
          const auto row = ranks_by_sorting(
              values<float>(Values::uniform, n, static_cast<std::uint32_t>(2 * i + (ranks == &a))).data(), n, i);
          ranks->insert(ranks->end(), row.begin(), row.end());
        }
      std::int64_t expected = 0;
      std::vector<std::int64_t> near_a, near_b;
      for (std::int64_t i = 0; i < n * n; ++i) {
        expected += a[i] <= k && b[i] <= k;
        if (a[i] > 0 && a[i] <= k) near_a.push_back(i % n);
        if (b[i] > 0 && b[i] <= k) near_b.push_back(i % n);
      }
      for (const int threads : {1, 2}) {
        CHECK(operations().common_ranks(a.data(), b.data(), n, n, k, threads) == expected, std::to_string(n));
        CHECK(operations().common_indices(near_a.data(), near_b.data(), n, k, threads) == expected - n,
              std::to_string(n));
      }
    }
}
