// Correlations, average ranks and HSICs of few items at the instruction set in use.
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>

#include "../cpu/dispatch.hpp"
#include "check.hpp"
#include "data.hpp"

using namespace diptych::tests;
using diptych::cpu::operations;
using diptych::cpu::Operations;

template <class F>
void check_correlation(Operations::Correlation<F> run) {
  constexpr std::int64_t problems = 3, k_u = 5, k_v = 19;
  for (const std::int64_t n : {2, 3, 7, 63, 64, 65, 127, 129, 1023})
    for (const bool ranked : {false, true}) {
      const std::vector<F> u = values<F>(Values::uniform, problems * n * k_u, 91);
      const std::vector<F> v = values<F>(Values::signs, problems * n * k_v, 97);
      std::vector<F> one(problems * k_u * k_v, F(NAN)), two(problems * k_u * k_v, F(NAN));
      run(u.data(), v.data(), problems, n, k_u, k_v, ranked, -7.0, one.data(), 1);
      run(u.data(), v.data(), problems, n, k_u, k_v, ranked, -7.0, two.data(), 2);
      CHECK(same_bits(one, two), "threads, n " + std::to_string(n));
      const auto column = [&](const std::vector<F>& x, std::int64_t problem, std::int64_t k, std::int64_t j) {
        std::vector<long double> numbers(n), result(n);
        for (std::int64_t i = 0; i < n; ++i) numbers[i] = x[(problem * n + i) * k + j];
        long double mean = 0;
        for (std::int64_t i = 0; i < n; ++i) {
          result[i] = numbers[i];
          if (ranked) {
            result[i] = 0;
            for (const long double other : numbers) result[i] += (other < numbers[i]) + 0.5L * (other == numbers[i]);
          }
          mean += result[i] / n;
        }
        for (long double& value : result) value -= mean;
        return result;
      };
      for (std::int64_t problem = 0; problem < problems; ++problem)
        for (std::int64_t i = 0; i < k_u; ++i)
          for (std::int64_t j = 0; j < k_v; ++j) {
            const auto a = column(u, problem, k_u, i), b = column(v, problem, k_v, j);
            const long double exact =
                std::inner_product(a.begin(), a.end(), b.begin(), 0.0L) /
                std::sqrt(std::inner_product(a.begin(), a.end(), a.begin(), 0.0L) *
                          std::inner_product(b.begin(), b.end(), b.begin(), 0.0L));
            // Sums of 64 numbers of one type at a time, which cancel eightfold at most.
            CHECK(std::fabs(one[(problem * k_u + i) * k_v + j] - exact) <= 8 * 64 * std::numeric_limits<F>::epsilon(),
                  "n " + std::to_string(n));
          }
    }
  const std::vector<F> constant(40, F(0.1)), other = values<F>(Values::uniform, 40, 101);
  std::vector<F> out(4);
  run(constant.data(), other.data(), 1, 20, 2, 2, false, -7.0, out.data(), 2);
  CHECK(out == std::vector<F>(4, F(-7)), "constant columns");
  run(other.data(), other.data(), 1, 20, 2, 2, false, -7.0, out.data(), 2);
  CHECK(out[0] == 1 && out[3] == 1 && out[1] == out[2], "columns with themselves");
}

TEST(correlation_of_floats) { check_correlation(operations().correlation_f32); }
TEST(correlation_of_doubles) { check_correlation(operations().correlation_f64); }

template <class F>
void check_average_ranks_of_columns(Operations::AverageRanks<F> run) {
  constexpr std::int64_t problems = 2, k = 3;
  for (const std::int64_t n : kSizes) {
    const std::vector<F> x = values<F>(Values::few_distinct, problems * n * k, 103);
    std::vector<F> one(x.size(), F(NAN)), two(x.size(), F(NAN));
    run(x.data(), problems, n, k, one.data(), 1);
    run(x.data(), problems, n, k, two.data(), 2);
    CHECK(same_bits(one, two), "threads, n " + std::to_string(n));
    for (std::int64_t at = 0; at < problems * n * k; at += n < 200 ? 1 : 31) {
      const std::int64_t start = at / (n * k) * n * k + at % k;
      F rank = F(0.5);
      for (std::int64_t i = 0; i < n; ++i) {
        const F value = x[start + i * k];
        rank += value < x[at] ? F(1) : (value == x[at] ? F(0.5) : F(0));
      }
      CHECK(one[at] == rank, "n " + std::to_string(n));
    }
  }
}

TEST(average_ranks_of_columns_of_floats) { check_average_ranks_of_columns(operations().average_ranks_f32); }
TEST(average_ranks_of_columns_of_doubles) { check_average_ranks_of_columns(operations().average_ranks_f64); }

template <class F>
void check_center(Operations::Center<F> run, std::int64_t n, std::int64_t d, bool per_column) {
  const std::string what = "n " + std::to_string(n) + ", d " + std::to_string(d);
  std::vector<F> x = values<F>(Values::uniform, n * d, 107);
  for (std::int64_t i = 0; i < n; ++i) x[i * d] = F(0.1);  // a constant column
  std::vector<F> one(n * d, F(NAN)), two(n * d, F(NAN)), ranges(d);
  std::vector<double> squares(d, NAN), squares2(d, NAN);
  F spread = 0;
  run(x.data(), n, d, per_column, one.data(), &spread, squares.data(), 1);
  run(x.data(), n, d, per_column, two.data(), &spread, squares2.data(), 2);
  CHECK(same_bits(one, two) && same_bits(squares, squares2), "threads, " + what);
  for (std::int64_t j = 0; j < d; ++j) {
    F low = x[j], high = x[j];
    for (std::int64_t i = 0; i < n; ++i) {
      low = std::min(low, x[i * d + j]);
      high = std::max(high, x[i * d + j]);
    }
    ranges[j] = high - low;
  }
  const F widest = *std::max_element(ranges.begin(), ranges.end());
  CHECK(spread == widest, "spread, " + what);
  for (std::int64_t j = 0; j < d; ++j) {
    int exponent = 0;
    const F range = per_column ? ranges[j] : widest;
    if (range > 0) std::frexp(range, &exponent);
    long double mean = 0;
    double sum = 0;
    for (std::int64_t i = 0; i < n; ++i) mean += static_cast<long double>(x[i * d + j]) / n;
    for (std::int64_t i = 0; i < n; ++i) {
      const long double exact = j == 0 ? 0 : std::ldexp(x[i * d + j] - mean, -exponent);
      // The difference, below 100, and what the second part of the mean leaves are rounded once each.
      const double bound = 200 * std::ldexp(1.0, -exponent) * std::numeric_limits<F>::epsilon();
      CHECK(std::fabs(one[i * d + j] - exact) <= (j == 0 ? 0 : bound), what);
      sum += static_cast<double>(one[i * d + j]) * one[i * d + j];
    }
    CHECK(std::fabs(squares[j] - sum) <= n * std::numeric_limits<double>::epsilon() * sum, "squares, " + what);
  }
}

template <class F>
void check_center(Operations::Center<F> run) {
  for (const std::int64_t n : kSizes)
    for (const std::int64_t d : {std::int64_t(1), std::int64_t(7), std::int64_t(33)})
      for (const bool per_column : {false, true}) check_center(run, n, d, per_column);
}

TEST(center_of_floats) { check_center(operations().center_f32); }
TEST(center_of_doubles) { check_center(operations().center_f64); }
