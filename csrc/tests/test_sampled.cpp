// Sampled pairs: what a row keeps, the product with them, and what is looked up.
#include "../core/sampled.hpp"

#include "../cpu/dispatch.hpp"
#include "check.hpp"
#include "data.hpp"

using namespace diptych::tests;
using diptych::core::DIPTYCH_ISA::CounterUniform;
using diptych::cpu::Difference;
using diptych::cpu::kBlockWidth;
using diptych::cpu::operations;
using diptych::cpu::Operations;
using diptych::cpu::SampledPairs;
using diptych::cpu::SampledShare;

namespace {

constexpr std::int64_t kNear = 2, kDrawn = 3, kWidth = 2 * kNear + kDrawn;
constexpr float kMost = 150.0f;

// Rows of ranks of points on a line, in an order of their own.
std::vector<std::int32_t> rank_rows(std::int64_t n, std::uint32_t seed) {
  const std::vector<double> points = values<double>(Values::uniform, n, seed);
  std::vector<std::int32_t> ranks;
  std::vector<double> row(n);
  for (std::int64_t i = 0; i < n; ++i) {
    for (std::int64_t j = 0; j < n; ++j) row[j] = std::fabs(points[i] - points[j]);
    const auto sorted = ranks_by_sorting(row.data(), n, i);
    ranks.insert(ranks.end(), sorted.begin(), sorted.end());
  }
  return ranks;
}

struct Kept {
  std::int64_t n;
  std::vector<std::int32_t> columns, counts;
  std::vector<float> values, scales;
  std::vector<double> sizes;
  std::vector<std::int64_t> starts;

  explicit Kept(std::int64_t items)
      : n(items), columns(n * kWidth, -1), counts(2 * n, -1), values(n * kWidth, NAN), scales(n, NAN), sizes(n, NAN),
        starts(n) {
    for (std::int64_t i = 0; i < n; ++i) starts[i] = i * kWidth;
  }
  // The rows first .. first + rows.
  SampledPairs pairs(std::int64_t first, std::int64_t rows) const {
    return {columns.data(), values.data(), counts.data() + 2 * first, scales.data() + first,
            starts.data() + first, rows};
  }
  SampledShare whole() const { return {pairs(0, n), pairs(0, n), 0, kMost}; }
};

// All rows' pairs whose columns are among the items first .. first + rows.
struct Back {
  std::vector<std::int32_t> columns, counts;
  std::vector<float> values, scales;
  std::vector<std::int64_t> starts;

  Back(const Kept& kept, std::int64_t first, std::int64_t rows) : scales(kept.scales) {
    for (std::int64_t i = 0; i < kept.n; ++i) {
      std::int32_t sure = 0, count = 0;
      starts.push_back(static_cast<std::int64_t>(columns.size()));
      for (std::int64_t e = 0; e < kept.counts[2 * i + 1]; ++e) {
        const std::int32_t column = kept.columns[i * kWidth + e];
        if (column < first || column >= first + rows) continue;
        columns.push_back(column);
        values.push_back(kept.values[i * kWidth + e]);
        sure += e < kept.counts[2 * i];
        ++count;
      }
      counts.insert(counts.end(), {sure, count});
    }
  }
  SampledPairs pairs() const {
    return {columns.data(), values.data(), counts.data(), scales.data(), starts.data(),
            static_cast<std::int64_t>(starts.size())};
  }
};

template <class T>
Kept sampled(Operations::SamplePairs<T> run, const std::vector<T>& a, const std::vector<T>& b, std::int64_t n,
             std::int64_t block, int threads) {
  Kept kept(n);
  for (std::int64_t first = 0; first < n; first += block) {
    const std::int64_t rows = n - first < block ? n - first : block;
    run(&a[first * n], &b[first * n], rows, n, first, Difference::locally_biased, 0.1, 5.0, 0.0, kNear, 7, kWidth,
        &kept.columns[first * kWidth], &kept.values[first * kWidth], &kept.counts[2 * first],
        &kept.scales[first], &kept.sizes[first], threads);
  }
  return kept;
}

bool same(const Kept& one, const Kept& other) {
  return same_bits(one.columns, other.columns) && same_bits(one.values, other.values) &&
         same_bits(one.counts, other.counts) && same_bits(one.scales, other.scales) &&
         same_bits(one.sizes, other.sizes);
}

// W by its definition, (n, n).
std::vector<double> weights_of(const Kept& kept, double sign) {
  std::vector<double> weights(kept.n * kept.n, 0.0);
  for (std::int64_t i = 0; i < kept.n; ++i)
    for (int e = 0; e < kept.counts[2 * i + 1]; ++e) {
      const double y = kept.values[i * kWidth + e], difference = std::expm1(sign * y);
      const double drawn = difference * kept.scales[i] / std::expm1(std::fabs(y));
      weights[i * kept.n + kept.columns[i * kWidth + e]] += e < kept.counts[2 * i] ? difference : drawn;
    }
  return weights;
}

// log F as row i holds it, 0 where it does not.
double held(const Kept& kept, std::int64_t i, std::int64_t j) {
  for (int e = 0; e < kept.counts[2 * i + 1]; ++e)
    if (kept.columns[i * kWidth + e] == j) return kept.values[i * kWidth + e];
  return 0;
}

}  // namespace

TEST(rows_keep_their_nearest_and_as_many_others_as_there_is_room_for) {
  for (const std::int64_t n : {9, 31, 64, 129}) {
    const auto a = rank_rows(n, 1), b = rank_rows(n, 2);
    const Kept kept = sampled(operations().sample_pairs_i32, a, b, n, n, 1);
    CHECK(same(kept, sampled(operations().sample_pairs_i32, a, b, n, 5, 2)), "blocks and threads");
    for (std::int64_t i = 0; i < n; ++i) {
      const std::int32_t *columns = &kept.columns[i * kWidth], sure = kept.counts[2 * i];
      const std::int32_t count = kept.counts[2 * i + 1];
      CHECK(std::is_sorted(columns, columns + sure) &&
                std::adjacent_find(columns, columns + sure) == columns + sure &&
                std::is_sorted(columns + sure, columns + count),
            "row " + std::to_string(i));
      std::int64_t worth = 0;  // pairs that are near, or that the two see differently
      for (std::int64_t j = 0; j < n; ++j) {
        const bool near = j != i && (a[i * n + j] <= kNear || b[i * n + j] <= kNear);
        CHECK(!near || std::binary_search(columns, columns + sure, j), "near pair");
        worth += near || a[i * n + j] != b[i * n + j];
      }
      CHECK(count == std::min(kWidth, worth), "row " + std::to_string(i) + " keeps " + std::to_string(count));
      for (int e = 0; e < count; ++e) {
        const std::int64_t place = i * n + columns[e];
        const double exact = -5.0 * biased_definition(a[place], b[place], 0.1L, 0.0L);
        CHECK(columns[e] != i && std::fabs(kept.values[i * kWidth + e] - exact) < 1e-5, "value");
        CHECK(e < sure || std::expm1(std::fabs(exact)) < kept.scales[i] * (1 + 1e-5), "drawn though sure");
      }
    }
  }
}

TEST(nearest_of_tied_distances_go_by_index) {
  for (const std::int64_t n : {9, 33, 65}) {
    const auto a = values<float>(Values::few_distinct, n * n, 3), b = values<float>(Values::constant, n * n, 4);
    const Kept kept = sampled(operations().sample_pairs_f32, a, b, n, n, 2);
    for (std::int64_t i = 0; i < n; ++i) {
      const std::int32_t* columns = &kept.columns[i * kWidth];
      for (const std::vector<float>* side : {&a, &b}) {
        const auto ranks = ranks_by_sorting(&(*side)[i * n], n, i);
        for (std::int64_t j = 0; j < n; ++j)
          CHECK(ranks[j] < 1 || ranks[j] > kNear || std::binary_search(columns, columns + kept.counts[2 * i], j),
                "row " + std::to_string(i));
      }
    }
  }
}

TEST(rows_without_differences_keep_their_nearest_alone) {
  const std::int64_t n = 33;
  const auto a = rank_rows(n, 1);
  const Kept kept = sampled(operations().sample_pairs_i32, a, a, n, n, 1);
  for (std::int64_t i = 0; i < n; ++i) {
    CHECK(kept.counts[2 * i] == kNear && kept.counts[2 * i + 1] == kNear && kept.sizes[i] == 0, "counts");
    for (std::int64_t e = kNear; e < kWidth; ++e)
      CHECK(kept.columns[i * kWidth + e] == i && kept.values[i * kWidth + e] == 0, "the rest of the row");
  }
}

TEST(products_with_sampled_pairs) {
  for (const std::int64_t n : {9, 31, 64, 129}) {
    const Kept kept = sampled(operations().sample_pairs_i32, rank_rows(n, 1), rank_rows(n, 2), n, n, 1);
    const auto x = values<float>(Values::signs, n * kBlockWidth, 5);
    for (const float sign : {1.0f, -1.0f}) {
      const std::vector<double> weights = weights_of(kept, sign);
      std::vector<float> one(x.size(), NAN), two(x.size(), NAN);
      operations().sampled_product(kept.whole(), sign, x.data(), one.data(), 1);
      operations().sampled_product(kept.whole(), sign, x.data(), two.data(), 3);
      CHECK(same_bits(one, two), "threads");
      for (std::int64_t i = 0; i < n; ++i)
        for (int k = 0; k < kBlockWidth; ++k) {
          double exact = 0, size = 0;
          for (std::int64_t j = 0; j < n; ++j) {
            const double w = 0.5 * (weights[i * n + j] + weights[j * n + i]), v = x[j * kBlockWidth + k];
            exact += (1 + w) * v;
            size += (1 + std::fabs(w)) * std::fabs(v);
          }
          // A few roundings of each term and one per term of the sum.
          CHECK(std::fabs(one[i * kBlockWidth + k] - exact) < 1e-6 * size, std::to_string(one[i * kBlockWidth + k]));
        }
    }
  }
}

TEST(entries_and_neighbors_of_sampled_pairs) {
  for (const std::int64_t n : {9, 31, 64, 129}) {
    const Kept kept = sampled(operations().sample_pairs_i32, rank_rows(n, 1), rank_rows(n, 2), n, n, 1);
    std::vector<std::int64_t> i(n * n), j(n * n), labels(n);
    for (std::int64_t e = 0; e < n * n; ++e) i[e] = e / n, j[e] = e % n;
    for (std::int64_t e = 0; e < n; ++e) labels[e] = e % 3 - 1;
    for (const float sign : {1.0f, -1.0f}) {
      std::vector<float> entries(n * n, NAN), row(n);
      operations().sampled_entries(kept.whole(), sign, i.data(), j.data(), n * n, entries.data(), 2);
      for (std::int64_t e = 0; e < n * n; ++e) {
        const double there = std::exp(sign * held(kept, i[e], j[e])), back = std::exp(sign * held(kept, j[e], i[e]));
        CHECK(std::fabs(entries[e] - (there + back) / 2) < 1e-6 * (there + back), std::to_string(e));
      }
      constexpr int k = 4;
      std::vector<float> scores(n, NAN);
      std::vector<std::int64_t> neighbors(n * k, -7);
      operations().sampled_knn(kept.whole(), sign, labels.data(), k, scores.data(), neighbors.data(), 2);
      for (std::int64_t item = 0; item < n; ++item) {
        // Items the row does not hold are in no cluster.
        std::vector<std::int64_t> mates(n, -1);
        mates[item] = labels[item];
        for (int e = 0; e < kept.counts[2 * item + 1]; ++e)
          mates[kept.columns[item * kWidth + e]] = labels[kept.columns[item * kWidth + e]];
        auto expected = knn_by_sorting(&entries[item * n], mates.data(), n, item, k);
        float sum = 0;
        for (const std::int64_t mate : expected) sum += entries[item * n + mate];
        expected.resize(k, -1);
        CHECK(std::equal(expected.begin(), expected.end(), &neighbors[item * k]), "item " + std::to_string(item));
        CHECK(std::fabs(scores[item] - sum) <= 1e-6f * sum, "score of item " + std::to_string(item));
      }
    }
  }
}

TEST(a_share_gives_its_rows_of_the_whole) {
  const std::int64_t n = 129;
  const Kept kept = sampled(operations().sample_pairs_i32, rank_rows(n, 1), rank_rows(n, 2), n, n, 1);
  const auto x = values<float>(Values::signs, n * kBlockWidth, 5);
  std::vector<std::int64_t> labels(n);
  for (std::int64_t e = 0; e < n; ++e) labels[e] = e % 3 - 1;
  constexpr int k = 4;
  std::vector<float> product(n * kBlockWidth), scores(n);
  std::vector<std::int64_t> neighbors(n * k);
  operations().sampled_product(kept.whole(), 1, x.data(), product.data(), 1);
  operations().sampled_knn(kept.whole(), 1, labels.data(), k, scores.data(), neighbors.data(), 1);
  for (const auto& [first, rows] : {std::pair<std::int64_t, std::int64_t>{0, 64}, {64, 65}, {7, 1}, {129, 0}}) {
    const Back back(kept, first, rows);
    const SampledShare share{kept.pairs(first, rows), back.pairs(), first, kMost};
    std::vector<float> own(rows * kBlockWidth, NAN), own_scores(rows, NAN), entries(rows * n, NAN), all(rows * n);
    std::vector<std::int64_t> own_neighbors(rows * k, -7), i(rows * n), j(rows * n);
    operations().sampled_product(share, 1, x.data(), own.data(), 2);
    CHECK(std::equal(own.begin(), own.end(), product.begin() + first * kBlockWidth), "product");
    operations().sampled_knn(share, 1, labels.data(), k, own_scores.data(), own_neighbors.data(), 2);
    CHECK(std::equal(own_scores.begin(), own_scores.end(), scores.begin() + first), "scores");
    CHECK(std::equal(own_neighbors.begin(), own_neighbors.end(), neighbors.begin() + first * k), "neighbors");
    for (std::int64_t e = 0; e < rows * n; ++e) i[e] = first + e / n, j[e] = e % n;
    operations().sampled_entries(share, 1, i.data(), j.data(), rows * n, entries.data(), 2);
    operations().sampled_entries(kept.whole(), 1, i.data(), j.data(), rows * n, all.data(), 2);
    CHECK(entries == all, "entries");
  }
}

TEST(counters_give_even_numbers) {
  constexpr int bins = 20, draws = 20000;
  std::vector<int> counts(bins, 0);
  for (std::uint64_t row = 0; row < 10; ++row) {
    const CounterUniform uniform(3, row);
    for (std::uint64_t draw = 0; draw < draws / 10; ++draw) {
      const double u = uniform(draw);
      CHECK(u >= 0 && u < 1 && u == CounterUniform(3, row)(draw), std::to_string(u));
      ++counts[static_cast<int>(u * bins)];
    }
  }
  double chi_square = 0;
  for (const int count : counts) chi_square += std::pow(count - draws / bins, 2) / (draws / bins);
  CHECK(chi_square < 45, std::to_string(chi_square));  // passed by chance once in 1,500, 19 degrees of freedom
}
