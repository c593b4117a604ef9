// Packed differences: codes, folding, rows and products at the instruction set in use.
#include <cmath>
#include <cstring>
#include <limits>

#include "../core/packed.hpp"
#include "../cpu/dispatch.hpp"
#include "check.hpp"
#include "data.hpp"

using namespace diptych::tests;
using diptych::cpu::Difference;
using diptych::cpu::kBlockWidth;
using diptych::cpu::operations;
using diptych::cpu::Operations;

namespace {

constexpr int kSteps = diptych::core::kSteps;
constexpr double kBetas[] = {1e-30, 1e-3, 1.0, 5.0, 80.0};

std::vector<std::int8_t> random_codes(std::int64_t n, std::uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<std::int8_t> codes(n * n);
  for (std::int8_t& code : codes) code = static_cast<std::int8_t>(static_cast<int>(random() % 255) - kSteps);
  return codes;
}

// The entry (i, j) of one direction's affinities, by definition, from folded codes.
double entry(const std::vector<std::int8_t>& codes, std::int64_t n, bool above, double beta, std::int64_t i,
             std::int64_t j) {
  if (i == j) return 1;
  const std::int64_t low = std::min(i, j), high = std::max(i, j);
  return std::exp(beta * codes[above ? low * n + high : high * n + low] / kSteps);
}

std::string at(std::int64_t n, std::int64_t i, std::int64_t j) {
  return "n " + std::to_string(n) + ", entry " + std::to_string(i) + ", " + std::to_string(j);
}

template <class T>
void check_pack(Operations::PackDifference<T> run, const std::vector<T>& a, const std::vector<T>& b,
                std::int64_t rows, std::int64_t n, Difference kind, double gamma, double offset) {
  std::vector<std::int8_t> one(rows * n, -128), two(rows * n, -128);
  std::vector<double> sizes(rows, NAN), sizes2(rows, NAN);
  run(a.data(), b.data(), rows, n, kind, gamma, offset, one.data(), sizes.data(), 1);
  run(a.data(), b.data(), rows, n, kind, gamma, offset, two.data(), sizes2.data(), 2);
  CHECK(same_bits(one, two) && same_bits(sizes, sizes2), "threads, n " + std::to_string(n));
  for (std::int64_t i = 0; i < rows; ++i) {
    long double size = 0;
    for (std::int64_t j = 0; j < n; ++j) {
      const long double x = static_cast<float>(a[i * n + j]), y = static_cast<float>(b[i * n + j]);
      long double exact = kind == Difference::locally_biased ? biased_definition(x, y, gamma, offset)
                                                             : static_cast<long double>(gamma) * (x - y);
      exact = kSteps * std::fmin(std::fmax(exact, -1.0L), 1.0L);
      // Half a step of rounding; before it a few roundings of numbers up to 254.
      const double bound = 0.5 + 16 * 254 * std::numeric_limits<float>::epsilon();
      CHECK(std::fabs(one[i * n + j] - exact) <= bound, at(n, i, j));
      size += std::fabs(exact) / (static_cast<long double>(n) * kSteps);
    }
    // Each difference carries that error, 2e-6 of 1, and float sums of 1,024 of them add as many roundings.
    CHECK(std::fabs(sizes[i] - size) <= 1e-5 + 1024 * std::numeric_limits<float>::epsilon() * size,
          "size of row " + std::to_string(i) + ", n " + std::to_string(n));
  }
}

template <class T>
void check_pack(Operations::PackDifference<T> run) {
  for (const std::int64_t n : kSizes)
    for (const std::int64_t rows : {1, 3}) {
      for (const Values kind : {Values::integers, Values::few_distinct, Values::constant, Values::uniform}) {
        const std::vector<T> a = values<T>(kind, rows * n, 1), b = values<T>(kind, rows * n, 2);
        for (const double offset : {0.0, 1.0})
          for (const double gamma : {0.1, 3.0, 1e-300})
            check_pack(run, a, b, rows, n, Difference::locally_biased, gamma, offset);
        check_pack(run, a, b, rows, n, Difference::subtraction, 0.01, 0);
        // Beyond [-1, 1]: the ends, and no wrapping round.
        check_pack(run, a, b, rows, n, Difference::subtraction, 5, 0);
      }
    }
}

}  // namespace

TEST(packed_differences_of_ranks) { check_pack<std::int32_t>(operations().pack_difference_i32); }
TEST(packed_differences_of_floats) { check_pack<float>(operations().pack_difference_f32); }

TEST(packed_differences_of_extreme_floats) {
  for (const std::int64_t n : kSizes) {
    const std::vector<float> a = values<float>(Values::special, n, 3);
    const std::vector<float> b = values<float>(Values::special, n, 4);
    std::vector<std::int8_t> codes(n, -128);
    double size = NAN;
    const auto run = operations().pack_difference_f32;
    run(a.data(), b.data(), 1, n, Difference::locally_biased, 0.1, 0, codes.data(), &size, 1);
    for (std::int64_t j = 0; j < n; ++j) {
      const int sign = (a[j] > b[j]) - (a[j] < b[j]);
      CHECK(codes[j] != -128 && codes[j] * sign >= 0 && (sign != 0 || codes[j] == 0), at(n, 0, j));
    }
    CHECK(size >= 0 && size <= 1, "n " + std::to_string(n));
  }
}

TEST(packed_fold) {
  for (const std::int64_t n : kSizes)
    for (const double beta : kBetas) {
      const std::vector<std::int8_t> before = random_codes(n, static_cast<std::uint32_t>(n));
      std::vector<std::int8_t> one = before, two = before;
      operations().fold_packed(one.data(), n, beta, 1);
      operations().fold_packed(two.data(), n, beta, 2);
      CHECK(same_bits(one, two), "threads, n " + std::to_string(n));
      for (std::int64_t i = 0; i < n; ++i) {
        CHECK(one[i * n + i] == before[i * n + i], "the diagonal is nobody's, " + at(n, i, i));
        for (std::int64_t j = i + 1; j < n; ++j) {
          const long double g = before[i * n + j], h = before[j * n + i], scale = beta / kSteps;
          const long double mean = (g + h) / 2, half = scale * (g - h) / 2;
          const long double root = std::sinh(half / 2);
          const long double excess = std::log1p(2 * root * root) / scale;
          const long double most = kSteps, dithered = excess + ((i + j) % 2 == 1 ? 0.25L : -0.25L);
          // Half a step of rounding; float32 numbers up to 255 before it.
          const double bound = 0.5 + 4 * 256 * std::numeric_limits<float>::epsilon();
          const long double above = std::min(dithered - mean, most);
          CHECK(std::fabs(one[i * n + j] - above) <= bound, "above, " + at(n, i, j));
          const long double below = std::min(dithered + mean, most);
          CHECK(std::fabs(one[j * n + i] - below) <= bound, "below, " + at(n, j, i));
        }
      }
    }
}

TEST(packed_fold_of_bytes_that_are_no_codes) {
  // Rows that nobody wrote may hold -128; what comes out is of no use, but nothing is read out of bounds.
  for (const std::int64_t n : {2, 65}) {
    std::vector<std::int8_t> codes(n * n, -128);
    for (std::int64_t i = 0; i < n; ++i)
      for (std::int64_t j = i + 1; j < n; ++j) codes[i * n + j] = kSteps;
    operations().fold_packed(codes.data(), n, 80.0, 1);
    // 127.5 steps, 1.1 less for the smaller term, half a step to either side, a quarter of dither.
    CHECK(codes[1] == 127 && codes[n] == 126, "n " + std::to_string(n));
  }
}

TEST(packed_rows) {
  for (const std::int64_t n : kSizes)
    for (const double beta : {5.0, 80.0})
      for (const bool above : {false, true}) {
        const std::vector<std::int8_t> codes = random_codes(n, static_cast<std::uint32_t>(n));
        for (const std::int64_t first : {std::int64_t(0), n / 3, n - 1})
          for (const std::int64_t count : {std::int64_t(1), n / 2 - first, n - first}) {
            if (count < 1) continue;
            std::vector<float> one(count * n, NAN), two(count * n, NAN);
            operations().packed_rows(codes.data(), n, above, beta, first, count, one.data(), 1);
            operations().packed_rows(codes.data(), n, above, beta, first, count, two.data(), 2);
            CHECK(same_bits(one, two), "threads, n " + std::to_string(n));
            for (std::int64_t i = 0; i < count; ++i)
              for (std::int64_t j = 0; j < n; ++j) {
                const double exact = entry(codes, n, above, beta, first + i, j);
                // Two factors and their product, each rounded once.
                CHECK(std::fabs(one[i * n + j] - exact) <= 2 * std::numeric_limits<float>::epsilon() * exact,
                      at(n, first + i, j));
              }
          }
      }
}

TEST(packed_product) {
  for (const std::int64_t n : kSizes)
    for (const bool above : {false, true}) {
      const double beta = 5.0;
      const std::vector<std::int8_t> codes = random_codes(n, static_cast<std::uint32_t>(n));
      const std::vector<float> x = values<float>(Values::signs, n * kBlockWidth, 7);
      std::vector<float> one(n * kBlockWidth, NAN), two(n * kBlockWidth, NAN);
      operations().packed_product(codes.data(), n, above, beta, x.data(), one.data(), 1);
      operations().packed_product(codes.data(), n, above, beta, x.data(), two.data(), 2);
      CHECK(same_bits(one, two), "threads, n " + std::to_string(n));
      for (std::int64_t i = 0; i < n; i += n < 200 ? 1 : 31)
        for (std::int64_t k = 0; k < kBlockWidth; ++k) {
          double exact = 0, sizes = 0;
          for (std::int64_t j = 0; j < n; ++j) {
            const double term = entry(codes, n, above, beta, i, j) * x[j * kBlockWidth + k];
            exact += term;
            sizes += std::fabs(term);
          }
          // A sum of n products in whatever order (Higham 2002, eq. 3.5), of factors off by two roundings.
          const double bound = (n + 4) * std::numeric_limits<float>::epsilon() * sizes;
          CHECK(std::fabs(one[i * kBlockWidth + k] - exact) <= bound, at(n, i, k));
        }
    }
}
