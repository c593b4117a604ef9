// The functions of core/, one by one, as the portable build compiles them.
#include "../core/average_ranks.hpp"
#include "../core/difference.hpp"
#include "../core/distance.hpp"
#include "../core/elementary.hpp"
#include "../core/hsic.hpp"
#include "../core/knn_row.hpp"
#include "../core/rank_row.hpp"
#include "check.hpp"
#include "data.hpp"

using namespace diptych::core::DIPTYCH_ISA;
using namespace diptych::tests;
using diptych::core::Difference;

namespace {

constexpr std::uint32_t kStride = 1021;  // a prime: one float in a thousand, about two million of them

template <class F>
std::vector<std::int32_t> ranks_by_rank_row(const std::vector<F>& row, std::int64_t self) {
  using Key = typename KeyOf<F>::type;
  const auto n = static_cast<std::int64_t>(row.size());
  std::vector<Key> keys(n);
  std::vector<std::uint32_t> items(n), packed(n), counts(2 * kDigits, 0xdeadbeef);
  std::vector<std::int32_t> ranks(n, -1);
  for (std::int64_t j = 0; j < n; ++j) keys[j] = order_key(row[j]);
  rank_row(RankScratch<Key>{keys.data(), items.data(), packed.data(), counts.data()}, n, self, ranks.data());
  return ranks;
}

template <class F>
void check_ranks() {
  for (const std::int64_t n : kSizes)
    for (const Values kind : kValues)
      for (const std::int64_t self : {std::int64_t(0), n / 2, n - 1}) {
        const std::vector<F> row = values<F>(kind, n, 7);
        CHECK(ranks_by_rank_row(row, self) == ranks_by_sorting(row.data(), n, self), label(kind, n));
      }
}

template <class F>
void check_keys() {
  const F top = std::numeric_limits<F>::max(), tiny = std::numeric_limits<F>::denorm_min();
  const F infinity = std::numeric_limits<F>::infinity();
  const std::vector<F> ascending = {-infinity, -top, F(-1),    -tiny,
                                    F(0),      tiny, 2 * tiny, std::numeric_limits<F>::min(),
                                    F(1),      top,  infinity};
  for (std::size_t i = 1; i < ascending.size(); ++i)
    CHECK(order_key(ascending[i - 1]) < order_key(ascending[i]), std::to_string(i));
  CHECK(order_key(-F(0)) == order_key(F(0)), "the two zeros tie");
  for (const F value : ascending) CHECK(order_key(value) > 0, "room for the row's own item");
}

}  // namespace

TEST(exponential_is_accurate_over_its_range) {
  double worst = 0;
  sweep(0.0f, 87.0f, kStride,
        [&](float x) { worst = std::max(worst, ulps(exponential(x), std::exp(static_cast<double>(x)))); });
  std::printf("exponential(float): at most %.3f ulp\n", worst);
  CHECK(worst <= kExponentialUlps, std::to_string(worst));
  CHECK(exponential(0.0f) == 1.0f && exponential(-0.0f) == 1.0f, "exp(0)");
}

TEST(exponential_is_clamped_where_it_would_overflow) {
  const float infinity = std::numeric_limits<float>::infinity();
  for (const float x : {88.0f, 1e30f, infinity}) {
    CHECK(exponential(x) == exponential(87.0f), std::to_string(x));
    CHECK(exponential(-x) == exponential(-87.0f), std::to_string(-x));
  }
  CHECK(std::isnormal(exponential(-87.0f)) && std::isfinite(1.0f / exponential(-87.0f)), "reciprocal");
  CHECK(exponential(1e300) == exponential(700.0) && exponential(-1e300) == exponential(-700.0), "double");
}

TEST(elementary_functions_of_doubles_are_accurate) {
  double worst_exp = 0, worst_tanh = 0;
  const auto look = [&](double x) {
    const auto exact = static_cast<long double>(x);
    worst_exp = std::max(worst_exp, ulps(exponential(x), std::exp(exact)));
    worst_tanh = std::max(worst_tanh, ulps(hyperbolic_tangent(x), std::tanh(exact)));
  };
  for (double x = -700; x <= 700; x += 0.37) look(x);
  CHECK(worst_exp < 1.0, std::to_string(worst_exp));
  for (double x = -700; x <= 700; x += 0.00037) look(x);
  for (double x = 1e-300; x < 700; x *= 1.0003) look(x), look(-x);
  std::printf("double: exponential at most %.3f ulp, hyperbolic_tangent %.3f ulp\n", worst_exp, worst_tanh);
  CHECK(worst_exp <= kExponentialUlps, std::to_string(worst_exp));
  CHECK(worst_tanh <= kTangentUlps, std::to_string(worst_tanh));
}

// The pair serves affinities: the same accuracy on either side, and swapping the sign swaps the two.
template <class F>
void check_pair(double step) {
  double worst = 0;
  for (double at = 0; at < 80; at += step) {
    const auto x = static_cast<F>(at);
    const ExponentialPair<F> both = exponential_pair(x), swapped = exponential_pair(-x);
    worst = std::max(worst, ulps(both.plus, std::exp(static_cast<long double>(x))));
    worst = std::max(worst, ulps(both.minus, std::exp(-static_cast<long double>(x))));
    CHECK(both.plus == swapped.minus && both.minus == swapped.plus, std::to_string(x));
  }
  CHECK(worst <= kExponentialUlps, std::to_string(worst));
  CHECK(exponential_pair(F(0)).plus == F(1) && exponential_pair(F(0)).minus == F(1), "exp(0)");
}

TEST(pairs_of_exponentials_are_accurate) {
  check_pair<float>(0.00011);
  check_pair<double>(0.00011);
}

// Four roundings in x and what tanh is off by, of which the relative size stays: beta G to 4 ulps of beta.
template <class F>
void check_scaled_difference() {
  const std::vector<double> numbers = {0, 1, 2, 3, 10, 57, 999, 4999, 0.125, 1e-3, 1e6};
  for (const double a : numbers)
    for (const double b : numbers)
      for (const double gamma : {0.05, 0.1, 2.0})
        for (const double beta : {1.0, 5.0, 80.0}) {
          const F fa = static_cast<F>(a), fb = static_cast<F>(b), fg = static_cast<F>(gamma);
          const F found = scaled_difference<Difference::locally_biased>(fa, fb, fg, F(beta), F(0));
          const long double exact = beta * biased_definition(fa, fb, fg, 0);
          CHECK(std::fabs(found - exact) <= 4 * beta * std::numeric_limits<F>::epsilon(),
                std::to_string(a) + " " + std::to_string(b));
        }
}

TEST(scaled_differences_are_good_to_ulps_of_beta) {
  check_scaled_difference<float>();
  check_scaled_difference<double>();
}

TEST(what_is_no_number_stays_none) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  CHECK(std::isnan(exponential(nan)) && std::isnan(hyperbolic_tangent(nan)), "functions");
  CHECK(std::isnan(locally_biased(nan, 1.0f, 0.1f, 0.0f)) && std::isnan(locally_biased(1.0f, nan, 0.1f, 0.0f)),
        "difference");
  CHECK(std::isnan(affinities<Difference::locally_biased>(nan, 1.0f, 0.1f, 5.0f, 0.0f).ab), "affinity");
}

TEST(a_sensitivity_below_the_smallest_number_does_not_vanish) {
  CHECK(sensitivity<float>(1e-60) > 0.0f && sensitivity<float>(0.1) == 0.1f, "float");
  CHECK(locally_biased(3.0f, 0.0f, sensitivity<float>(1e-60), 0.0f) == 1.0f, "the limit at zero holds");
}

TEST(hyperbolic_tangent_is_accurate_over_all_numbers) {
  double worst = 0;
  sweep(0.0f, std::numeric_limits<float>::max(), kStride, [&](float x) {
    worst = std::max(worst, ulps(hyperbolic_tangent(x), std::tanh(static_cast<double>(x))));
  });
  std::printf("hyperbolic_tangent(float): at most %.3f ulp\n", worst);
  CHECK(worst <= kTangentUlps, std::to_string(worst));
}

TEST(hyperbolic_tangent_is_odd_and_bounded) {
  sweep(0.0f, std::numeric_limits<float>::infinity(), 65537, [](float x) {
    const float t = hyperbolic_tangent(x);
    CHECK(t == -hyperbolic_tangent(-x), std::to_string(x));
    CHECK(std::fabs(t) <= 1.0f, std::to_string(x));
  });
  CHECK(hyperbolic_tangent(40.0f) == 1.0f && hyperbolic_tangent(40.0) == 1.0, "40 saturates");
}

TEST(locally_biased_difference_is_its_definition) {
  const std::vector<double> numbers = {0, 1, 2, 3, 10, 57, 999, 4999, 0.125, 1e-3, 1e6};
  for (const double a : numbers)
    for (const double b : numbers)
      for (const double gamma : {0.05, 0.1, 2.0})
        for (const double offset : {0.0, 1.0}) {
          const float fa = static_cast<float>(a), fb = static_cast<float>(b);
          const float fg = static_cast<float>(gamma), fo = static_cast<float>(offset);
          const float g = locally_biased(fa, fb, fg, fo);
          // The argument carries four roundings (half an ulp each), of which tanh keeps the relative
          // size at most; in ulps of a result that may sit in the next binade down, twice that.
          CHECK(ulps(g, biased_definition(fa, fb, fg, fo)) <= kTangentUlps + 4,
                std::to_string(a) + " " + std::to_string(b));
          CHECK(g == -locally_biased(fb, fa, fg, fo), "swapping the two swaps the sign");
          CHECK(ulps(locally_biased(a, b, gamma, offset), biased_definition(a, b, gamma, offset)) <= 2 + 4,
                std::to_string(a) + " " + std::to_string(b));
        }
}

TEST(locally_biased_difference_takes_its_limits_at_zero) {
  for (const float zero : {0.0f, -0.0f}) {
    CHECK(locally_biased(zero, 0.0f, 0.1f, 0.0f) == 0.0f, "0/0");
    CHECK(locally_biased(0.0f, zero, 0.1f, 0.0f) == 0.0f, "0/0");
    CHECK(locally_biased(3.0f, zero, 0.1f, 0.0f) == 1.0f, "x/0");
    CHECK(locally_biased(zero, 3.0f, 0.1f, 0.0f) == -1.0f, "-x/0");
    CHECK(locally_biased(zero, 3.0f, 0.1f, 1.0f) == hyperbolic_tangent(-0.1f * 3.0f), "offset 1");
  }
  CHECK(locally_biased(3.0, 0.0, 0.1, 0.0) == 1.0 && locally_biased(0.0, 0.0, 0.1, 0.0) == 0.0, "double");
}

TEST(locally_biased_difference_of_denormals_does_not_vanish) {
  const float tiny = std::numeric_limits<float>::denorm_min();
  CHECK(ulps(locally_biased(3 * tiny, tiny, 0.1f, 0.0f), std::tanh(0.1L * 2)) <= kTangentUlps + 4, "2/1");
  CHECK(locally_biased(1e38f, tiny, 0.1f, 0.0f) == 1.0f, "an overflowing quotient saturates");
}

TEST(subtraction_is_a_scaled_gap) {
  CHECK(difference<Difference::subtraction>(5.0f, 2.0f, 0.5f, 9.0f) == 1.5f, "offset plays no part");
  CHECK((difference<Difference::locally_biased>(5.0, 2.0, 0.5, 1.0)) == locally_biased(5.0, 2.0, 0.5, 1.0),
        "by name");
}

TEST(squared_distance_is_never_negative_and_zero_for_equal_rows) {
  CHECK(squared_distance(25.0f, 4.0f, 6.0f) == 17.0f, "integers are exact");
  CHECK(squared_distance(1.0f, 1.0f, std::nextafter(1.0f, 2.0f)) == 0.0f, "rounding below zero");
  for (const double norm : values<double>(Values::uniform, 100, 3))
    CHECK(squared_distance(norm, norm, norm) == 0.0, std::to_string(norm));
}

TEST(order_keys_sort_as_floats_do) { check_keys<float>(); }
TEST(order_keys_sort_as_doubles_do) { check_keys<double>(); }
TEST(rank_row_is_a_stable_sort_of_floats) { check_ranks<float>(); }
TEST(rank_row_is_a_stable_sort_of_doubles) { check_ranks<double>(); }

// The public functions refuse NaN; what gets past them must not write out of bounds or hang.
TEST(ranks_of_a_row_with_nan_are_a_permutation) {
  for (const float nan : {std::nanf(""), -std::nanf("")})
    for (const std::int64_t n : {std::int64_t(2), std::int64_t(33), std::int64_t(1023)}) {
      std::vector<float> row = values<float>(Values::uniform, n, 47);
      row[n / 2] = row[n - 1] = nan;
      std::vector<std::int32_t> ranks = ranks_by_rank_row(row, 0), places(n);
      CHECK(ranks[0] == 0, "self first");
      std::sort(ranks.begin(), ranks.end());
      std::iota(places.begin(), places.end(), 0);
      CHECK(ranks == places, "n " + std::to_string(n));
    }
}

TEST(knn_of_row_is_a_stable_sort_inside_the_cluster) {
  for (const std::int64_t n : kSizes)
    for (const Values kind : {Values::uniform, Values::few_distinct, Values::ascending}) {
      const std::vector<float> row = values<float>(kind, n, 11);
      std::vector<std::int64_t> labels(n);
      for (std::int64_t j = 0; j < n; ++j) labels[j] = j % 4 - 1;
      for (const std::int64_t self : {std::int64_t(0), n / 2, n - 1})
        for (const int k : {0, 1, 2, 8}) {
          std::vector<float> best(k);
          std::vector<std::int64_t> neighbors(k);
          const int found = knn_of_row(row.data(), labels.data(), n, self, k, best.data(), neighbors.data());
          neighbors.resize(found);
          CHECK(neighbors == knn_by_sorting(row.data(), labels.data(), n, self, k), label(kind, n));
          for (int place = 0; place < found; ++place)
            CHECK(best[place] == row[neighbors[place]], label(kind, n));
        }
    }
}

namespace {

template <class F>
void check_average_ranks() {
  using Key = typename KeyOf<F>::type;
  for (const std::int64_t n : kSizes)
    for (const Values kind : kValues) {
      const std::vector<F> column = values<F>(kind, n, 71);
      std::vector<Key> keys(n);
      std::vector<std::uint32_t> items(n), packed(n), counts(2 * kDigits, 0xdeadbeef);
      std::vector<std::int64_t> twice(n, -1);
      average_ranks(column.data(), RankScratch<Key>{keys.data(), items.data(), packed.data(), counts.data()}, n,
                    [&](std::uint32_t item, std::int64_t rank) { twice[item] = rank; });
      for (std::int64_t i = 0; i < n; ++i) {
        std::int64_t below = 0, equal = 0;
        for (const F other : column) {
          below += other < column[i];
          equal += other == column[i];
        }
        CHECK(twice[i] == 2 * below + equal + 1, label(kind, n));
      }
    }
}

// HSIC from Gram matrices as printed, for centred data.
long double hsic_by_definition(const std::vector<long double>& k, const std::vector<long double>& m,
                               std::int64_t n, bool debiased) {
  long double product = 0, sum_k = 0, sum_m = 0, rows = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    long double row_k = 0, row_m = 0;
    for (std::int64_t j = 0; j < n; ++j)
      if (!debiased || i != j) {
        product += k[i * n + j] * m[i * n + j];
        row_k += k[i * n + j];
        row_m += m[i * n + j];
      }
    sum_k += row_k;
    sum_m += row_m;
    rows += row_k * row_m;
  }
  if (!debiased) return product - 2 * rows / n + sum_k * sum_m / n / n;
  return product - 2 * rows / (n - 2) + sum_k * sum_m / ((n - 1.0L) * (n - 2));
}

}  // namespace

TEST(average_ranks_of_floats) { check_average_ranks<float>(); }
TEST(average_ranks_of_doubles) { check_average_ranks<double>(); }

// The public functions refuse NaN; what gets past them must not write out of bounds or hang.
TEST(average_ranks_of_a_column_with_nan_reach_every_item) {
  for (const std::int64_t n : {std::int64_t(1), std::int64_t(2), std::int64_t(33), std::int64_t(1023)}) {
    std::vector<float> column = values<float>(Values::uniform, n, 73);
    column[n / 2] = std::nanf("");
    column[n - 1] = std::numeric_limits<float>::infinity();
    std::vector<std::uint32_t> keys(n), items(n), packed(n), counts(2 * kDigits);
    std::vector<int> seen(n);
    average_ranks(column.data(),
                  RankScratch<std::uint32_t>{keys.data(), items.data(), packed.data(), counts.data()}, n,
                  [&](std::uint32_t item, std::int64_t) { ++seen[item]; });
    CHECK(seen == std::vector<int>(n, 1), "n " + std::to_string(n));
  }
}

TEST(linear_hsics_are_their_definition) {
  for (const std::int64_t n : {4, 5, 9, 33})
    for (const std::int64_t d : {1, 2, 7}) {
      const std::int64_t d_y = d + 1;
      const std::vector<float> x = values<float>(Values::signs, n * d, 79), y = values<float>(Values::uniform, n * d_y, 83);
      std::vector<double> standard_x(n * d), standard_y(n * d_y);
      standardize(x.data(), n, d, standard_x.data());
      standardize(y.data(), n, d_y, standard_y.data());
      std::vector<long double> k(n * n), m(n * n);
      for (std::int64_t i = 0; i < n; ++i)
        for (std::int64_t j = 0; j < n; ++j) {
          for (std::int64_t f = 0; f < d; ++f) k[i * n + j] += static_cast<long double>(standard_x[i * d + f]) * standard_x[j * d + f];
          for (std::int64_t f = 0; f < d_y; ++f) m[i * n + j] += static_cast<long double>(standard_y[i * d_y + f]) * standard_y[j * d_y + f];
        }
      for (const bool debiased : {false, true}) {
        double found[5];
        linear_hsics(standard_x.data(), d, standard_y.data(), d_y, n, debiased, found);
        const std::vector<long double>*first[3] = {&k, &k, &m}, *second[3] = {&m, &k, &m};
        for (int s = 0; s < 3; ++s) {
          const long double exact = hsic_by_definition(*first[s], *second[s], n, debiased);
          // Sums of n² products of sums of d, of the biased estimators' size.
          const double size = std::sqrt(found[first[s] == &k ? 3 : 4] * found[second[s] == &k ? 3 : 4]);
          CHECK(std::fabs(found[s] - exact) <= 4 * n * std::numeric_limits<double>::epsilon() * size,
                "n " + std::to_string(n) + ", d " + std::to_string(d));
        }
      }
    }
}

TEST(standardized_numbers_have_mean_zero_and_range_about_one) {
  for (const float scale : {1e-40f, 1e-20f, 1.0f, 1e30f}) {
    std::vector<float> x = values<float>(Values::uniform, 30, 89);
    for (float& value : x) value *= scale;
    std::vector<double> out(30);
    standardize(x.data(), 10, 3, out.data());
    for (int j = 0; j < 3; ++j) {
      double sum = 0, low = out[j], high = out[j];
      for (int i = 0; i < 10; ++i) {
        sum += out[i * 3 + j];
        low = std::min(low, out[i * 3 + j]);
        high = std::max(high, out[i * 3 + j]);
      }
      CHECK(std::fabs(sum) <= 10 * std::numeric_limits<double>::epsilon(), std::to_string(scale));
      CHECK(high - low <= 1 && high > low, std::to_string(scale));
    }
  }
}
