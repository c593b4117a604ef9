// Centring and the search for equal rows, at the instruction set in use.
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "../core/row_hash.hpp"
#include "../cpu/dispatch.hpp"
#include "check.hpp"
#include "data.hpp"

namespace {

using namespace diptych::tests;
using diptych::cpu::operations;
using diptych::cpu::Operations;

std::vector<std::int64_t> groups_by_definition(const std::vector<double>& x, std::int64_t n, std::int64_t d) {
  std::vector<std::int64_t> groups(n, -1);
  for (std::int64_t i = 0; i < n; ++i)
    for (std::int64_t j = 0; j < n && groups[i] < 0; ++j) {
      bool same = i != j;
      for (std::int64_t c = 0; c < d; ++c) same = same && x[i * d + c] == x[j * d + c];
      if (same) groups[i] = i < j ? i : j;
    }
  return groups;
}

// Two rows of five numbers with one hash: only the first and the last number are summed together, so a change
// of the first can be made good by the bits of the last.
std::vector<double> colliding_rows() {
  using namespace diptych::core::DIPTYCH_ISA;
  const auto step = [](double value) {
    std::uint64_t sum = (std::uint64_t(1) ^ hash_bits(value)) * 0x9E3779B97F4A7C15u;
    return sum ^ (sum >> 32);
  };
  for (double first = 2;; ++first) {
    const std::uint64_t bits = hash_bits(7.0) ^ step(1.0) ^ step(first);
    double last;
    std::memcpy(&last, &bits, sizeof last);
    if (std::isfinite(last)) return {1, 0, 0, 0, 7, first, 0, 0, 0, last};
  }
}

template <class F>
void check_direct_distances(Operations::DirectDistances<F> run) {
  for (const std::int64_t d : {1, 2, 7, 33, 400})
    for (const std::int64_t n : {1, 2, 9, 33, 65}) {
      const std::int64_t rows = n / 2 + 1;
      const std::vector<F> x = values<F>(Values::few_distinct, n * d, 47);
      std::vector<F> squares(rows * n, F(NAN)), roots(rows * n, F(NAN)), halves(rows * n, F(NAN));
      run(x.data(), x.data(), rows, n, d, false, 1.0, squares.data(), 1);
      run(x.data(), x.data(), rows, n, d, true, 1.0, roots.data(), 2);
      run(x.data(), x.data(), rows, n, d, false, 0.5, halves.data(), 2);
      for (std::int64_t i = 0; i < rows; ++i)
        for (std::int64_t j = 0; j < n; ++j) {
          double exact = 0;
          for (std::int64_t k = 0; k < d; ++k)
            exact += std::pow(static_cast<double>(x[i * d + k]) - x[j * d + k], 2);
          CHECK(squares[i * n + j] == exact && halves[i * n + j] == exact / 2 &&
                    roots[i * n + j] == static_cast<F>(std::sqrt(exact)),
                "n " + std::to_string(n) + ", d " + std::to_string(d));
        }
    }
}

// Rows of every size that squares of doubles can or cannot hold.
template <class E, class F>
void check_unit_rows(Operations::UnitRows<E, F> run) {
  for (const std::int64_t d : {1, 2, 7, 33, 257})
    for (const int exponent :
         {std::numeric_limits<E>::min_exponent, -20, 0, std::numeric_limits<E>::max_exponent - 8}) {
      constexpr std::int64_t n = 9;
      std::vector<E> x = values<E>(Values::uniform, n * d, 61);
      for (E& value : x) value = std::ldexp(value + 1, exponent);
      std::vector<F> one(n * d, F(NAN)), two(n * d, F(NAN));
      run(x.data(), n, d, one.data(), 1);
      run(x.data(), n, d, two.data(), 2);
      CHECK(same_bits(one, two), "threads");
      for (std::int64_t i = 0; i < n; ++i) {
        long double squares = 0;
        for (std::int64_t j = 0; j < d; ++j) squares += std::pow(static_cast<long double>(x[i * d + j]), 2);
        for (std::int64_t j = 0; j < d; ++j) {
          const long double exact = x[i * d + j] / std::sqrt(squares);
          // d squares summed in double, their root, a quotient, and the rounding to F.
          const long double bound =
              (d + 4) * std::numeric_limits<double>::epsilon() + std::numeric_limits<F>::epsilon();
          CHECK(std::fabs(one[i * d + j] - exact) <= bound * exact,
                "d " + std::to_string(d) + ", exponent " + std::to_string(exponent));
        }
      }
    }
}

template <class F>
void check_peak(Operations::Peak<F> run) {
  for (const std::int64_t count : {1, 7, 33, 5000, 70001}) {
    std::vector<F> x = values<F>(Values::uniform, count, 67);
    const std::int64_t place = count * 2 / 3;
    x[place] = -123;
    CHECK(run(x.data(), count, 1) == 123 && run(x.data(), count, 2) == 123, std::to_string(count));
    for (const F bad : {F(NAN), F(INFINITY), -F(INFINITY)}) {
      x[place] = bad;
      CHECK(std::isnan(run(x.data(), count, 1)) && std::isnan(run(x.data(), count, 2)),
            std::to_string(count));
    }
  }
}

}  // namespace

TEST(direct_distances_are_exact_for_integers) {
  check_direct_distances(operations().direct_distances_f32);
  check_direct_distances(operations().direct_distances_f64);
}
TEST(unit_rows_of_every_size) {
  check_unit_rows(operations().unit_rows_f32);
  check_unit_rows(operations().unit_rows_f32_f64);
  check_unit_rows(operations().unit_rows_f64);
}

TEST(the_peak_is_not_a_number_where_an_entry_is_not_finite) {
  check_peak(operations().peak_f32);
  check_peak(operations().peak_f64);
}

TEST(the_first_zero_row_is_found) {
  std::vector<double> x = {1, 0, 0, -0.0, 0, 0};
  CHECK(operations().first_zero_row_f64(x.data(), 3, 2) == 1, "the second row");
  CHECK(operations().first_zero_row_f64(x.data(), 1, 2) == -1, "no zero row");
  const std::vector<float> single(x.begin(), x.end());
  CHECK(operations().first_zero_row_f32(single.data(), 2, 3) == 1, "float");
}

TEST(duplicates_are_found_whatever_their_hash) {
  for (const std::int64_t n : {1, 2, 3, 9, 33, 257})
    for (const std::int64_t d : {1, 2, 7}) {
      std::vector<double> x(n * d);
      for (std::int64_t i = 0; i < n * d; ++i) x[i] = (i * 7919 % 13) % (d == 1 ? 13 : 3) - 1;
      if (n > 1) x[d] = -0.0;
      std::vector<std::int64_t> groups(n, 99);
      const bool found = operations().duplicates_f64(x.data(), n, d, groups.data(), 2);
      CHECK(groups == groups_by_definition(x, n, d), std::to_string(n) + " x " + std::to_string(d));
      bool any = false;
      for (const std::int64_t group : groups) any = any || group >= 0;
      CHECK(found == any, std::to_string(n));
    }
}

TEST(rows_whose_hashes_collide_are_told_apart) {
  using namespace diptych::core::DIPTYCH_ISA;
  std::vector<double> x = colliding_rows();
  CHECK(row_hash(x.data(), 5) == row_hash(x.data() + 5, 5), "the rows were made to collide");
  x.insert(x.end(), {1, 0, 0, 0, 7});
  std::vector<std::int64_t> groups(3);
  CHECK(operations().duplicates_f64(x.data(), 3, 5, groups.data(), 1), "rows 0 and 2");
  CHECK(groups == std::vector<std::int64_t>({0, -1, 0}), "row 1 has no equal");
}

TEST(centring_keeps_integers_and_multiples_exact) {
  const std::int64_t n = 33, d = 19;
  std::vector<float> x(n * d), centred(n * d);
  for (std::int64_t i = 0; i < n; ++i)
    for (std::int64_t c = 0; c < d; ++c)
      x[i * d + c] = c == 3 ? 5.5f : static_cast<float>(1000 + (i * c) % 29);
  operations().shift_to_center_f32(x.data(), n, d, centred.data(), 2);
  for (std::int64_t i = 0; i < n; ++i)
    for (std::int64_t c = 0; c < d; ++c) {
      const float shift = x[i * d + c] - centred[i * d + c], value = centred[i * d + c];
      CHECK(shift == x[c] - centred[c], "one point for the whole column");
      CHECK(c == 3 ? value == 0 : std::rint(value) == value && std::fabs(value) < 29, std::to_string(value));
    }
  const float infinity = std::numeric_limits<float>::infinity();
  x.assign({1, infinity, 2, 3});
  operations().shift_to_center_f32(x.data(), 2, 2, centred.data(), 1);
  CHECK(centred[1] == infinity && centred[3] == 3, "a column without a mean stays as it is");
}

TEST(symmetric_range_sees_every_entry_and_its_mirror_image) {
  for (const std::int64_t n : {1, 2, 63, 64, 65, 200}) {
    std::vector<float> matrix(n * n);
    for (std::int64_t i = 0; i < n; ++i)
      for (std::int64_t j = 0; j < n; ++j) matrix[i * n + j] = 1.0f + static_cast<float>((i + j) % 7);
    for (const std::int64_t place : {std::int64_t(0), n * n / 2, n * n - 1}) {
      std::vector<float> bounds(3), changed = matrix;
      changed[place] = -3;
      operations().symmetric_range_f32(changed.data(), n, bounds.data(), 2);
      float low = 99, high = -99, gap = 0;
      for (std::int64_t i = 0; i < n; ++i)
        for (std::int64_t j = 0; j < n; ++j) {
          low = std::fmin(low, changed[i * n + j]);
          high = std::fmax(high, changed[i * n + j]);
          gap = std::fmax(gap, std::fabs(changed[i * n + j] - changed[j * n + i]));
        }
      CHECK(bounds == std::vector<float>({low, high, gap}), std::to_string(n));
      for (const float strange : {std::nanf(""), std::numeric_limits<float>::infinity()}) {
        changed[place] = strange;
        operations().symmetric_range_f32(changed.data(), n, bounds.data(), 1);
        CHECK(std::isnan(bounds[1]), "not finite at " + std::to_string(place));
      }
    }
  }
}
