// The operations as the dispatch table offers them, at the instruction set this process runs.
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <stdexcept>

#include "../cpu/dispatch.hpp"
#include "check.hpp"
#include "data.hpp"

using namespace diptych::tests;
using diptych::cpu::Difference;
using diptych::cpu::operations;
using diptych::cpu::Operations;

namespace {

constexpr std::uint32_t kStride = 1021;

template <class T>
bool same_bits_as_transpose(const std::vector<T>& x, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i)
    for (std::int64_t j = 0; j < i; ++j)
      if (std::memcmp(&x[i * n + j], &x[j * n + i], sizeof(T)) != 0) return false;
  return true;
}

// (n, n) numbers like ranks or distances: zero diagonal, otherwise anything.
template <class T>
std::vector<T> square(std::int64_t n, std::uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<T> result(n * n);
  for (std::int64_t i = 0; i < n * n; ++i)
    result[i] =
        i % (n + 1) == 0 ? T(0) : static_cast<T>(random() % (4 * n)) / T(std::is_integral_v<T> ? 1 : 3);
  return result;
}

template <class F>
void check_distances(Operations::Distances<F> run) {
  constexpr std::int64_t d = 5, extra = 3;
  for (const std::int64_t n : kSizes) {
    const std::int64_t rows = n / 2 + 1, stride = n + extra;
    // Small integers: the products, norms and squared distances are exact.
    std::vector<F> x = values<F>(Values::few_distinct, n * d, 5), products(rows * stride, F(-1)), norms(n);
    std::vector<double> exact(rows * n);
    for (std::int64_t j = 0; j < n; ++j)
      norms[j] = std::inner_product(&x[j * d], &x[j * d] + d, &x[j * d], F(0));
    for (std::int64_t i = 0; i < rows; ++i)
      for (std::int64_t j = 0; j < n; ++j) {
        products[i * stride + j] = std::inner_product(&x[i * d], &x[i * d] + d, &x[j * d], F(0));
        for (std::int64_t k = 0; k < d; ++k)
          exact[i * n + j] += std::pow(static_cast<double>(x[i * d + k]) - x[j * d + k], 2);
      }
    for (const bool squared : {true, false}) {
      std::vector<F> one(rows * n, F(NAN)), two(rows * n, F(NAN));
      run(products.data(), stride, norms.data(), norms.data(), rows, n, squared, one.data(), 1);
      run(products.data(), stride, norms.data(), norms.data(), rows, n, squared, two.data(), 2);
      CHECK(same_bits(one, two), "threads, n " + std::to_string(n));
      for (std::int64_t i = 0; i < rows * n; ++i)
        CHECK(one[i] == static_cast<F>(squared ? exact[i] : std::sqrt(exact[i])), "n " + std::to_string(n));
      std::vector<F> in_place(rows * n);
      for (std::int64_t i = 0; i < rows; ++i) std::copy_n(&products[i * stride], n, &in_place[i * n]);
      run(in_place.data(), n, norms.data(), norms.data(), rows, n, squared, in_place.data(), 2);
      CHECK(same_bits(in_place, one), "in place, n " + std::to_string(n));
    }
  }
}

std::vector<std::int64_t> last_items(std::int64_t rows, std::int64_t n) {
  std::vector<std::int64_t> items(rows);
  for (std::int64_t row = 0; row < rows; ++row) items[row] = n - rows + row;
  return items;
}

template <class F>
void check_rank_rows(Operations::Ranks<F> run, std::int64_t n, Values kind) {
  const std::int64_t rows = n < 200 ? (n + 1) / 2 : 5;
  const std::vector<std::int64_t> items = last_items(rows, n);
  const std::vector<F> distances = values<F>(kind, rows * n, 13);
  std::vector<std::int32_t> expected;
  for (std::int64_t i = 0; i < rows; ++i) {
    const auto row = ranks_by_sorting(&distances[i * n], n, items[i]);
    expected.insert(expected.end(), row.begin(), row.end());
  }
  for (const int threads : {1, 2}) {
    std::vector<std::int32_t> ranks(rows * n, -1);
    run(distances.data(), rows, n, items.data(), ranks.data(), threads);
    CHECK(ranks == expected, label(kind, n) + ", threads " + std::to_string(threads));
  }
  if constexpr (sizeof(F) == sizeof(std::int32_t)) {
    std::vector<std::int32_t> memory(rows * n);
    std::memcpy(memory.data(), distances.data(), sizeof(F) * rows * n);
    run(reinterpret_cast<const F*>(memory.data()), rows, n, items.data(), memory.data(), 2);
    CHECK(memory == expected, "in place, " + label(kind, n));
  }
}

template <class F>
void check_ranks(Operations::Ranks<F> run) {
  for (const std::int64_t n : kSizes)
    for (const Values kind : kValues) check_rank_rows(run, n, kind);
  check_rank_rows(run, 5000, Values::uniform);
  check_rank_rows(run, 70001, Values::few_distinct);  // more than 2^16 items, long ties
  check_rank_rows(run, 70001, Values::skewed);
}

template <class F>
void check_ranks_from_products(Operations::RanksFromProducts<F> run, Operations::Ranks<F> from_distances,
                               Operations::Distances<F> distances) {
  for (const std::int64_t n : kSizes)
    for (const Values kind : {Values::uniform, Values::few_distinct}) {
      const std::int64_t rows = (n + 1) / 2, first_row = n - rows, stride = n + 1;
      const std::vector<std::int64_t> items = last_items(rows, n);
      const std::vector<F> products = values<F>(kind, rows * stride, 17), norms = values<F>(kind, n, 19);
      std::vector<F> squared(rows * n);
      std::vector<std::int32_t> expected(rows * n), ranks(rows * n, -1);
      distances(products.data(), stride, norms.data() + first_row, norms.data(), rows, n, true,
                squared.data(), 1);
      from_distances(squared.data(), rows, n, items.data(), expected.data(), 1);
      for (const int threads : {1, 2}) {
        run(products.data(), stride, norms.data(), rows, n, items.data(), ranks.data(), threads);
        CHECK(ranks == expected, label(kind, n));
      }
    }
}

template <class T, class F>
void check_biased(Operations::Biased<T, F> run) {
  for (const std::int64_t n : kSizes) {
    const std::vector<T> a = square<T>(n, 23), b = square<T>(n, 29);
    for (const double offset : {0.0, 1.0}) {
      const double gamma = 0.25;
      std::vector<F> one(n * n, F(NAN)), two(n * n, F(NAN));
      run(a.data(), b.data(), n * n, gamma, offset, one.data(), 1);
      run(a.data(), b.data(), n * n, gamma, offset, two.data(), 2);
      CHECK(same_bits(one, two), "threads, n " + std::to_string(n));
      for (std::int64_t i = 0; i < n * n; i += n < 200 ? 1 : 31)
        CHECK(ulps(one[i], biased_definition(a[i], b[i], gamma, offset)) <= kTangentUlps + 4,
              std::to_string(a[i]) + " " + std::to_string(b[i]));
    }
  }
}

template <class T, class F>
void check_affinity(Operations::Affinity<T, F> run, Difference kind) {
  // Subtraction is taken on distances scaled to [0, 1] or on ranks: gamma keeps beta G small here.
  const bool biased = kind == Difference::locally_biased;
  for (const std::int64_t n : kSizes) {
    const std::vector<T> a = square<T>(n, 31), b = square<T>(n, 37);
    const double gamma = biased ? 0.25 : 0.25 / n, beta = 5.0, offset = 0.0;
    std::vector<F> ab(n * n, F(NAN)), ba(n * n, F(NAN)), ab2(n * n, F(NAN)), ba2(n * n, F(NAN));
    run(a.data(), b.data(), n, kind, gamma, beta, offset, ab.data(), ba.data(), 1);
    run(a.data(), b.data(), n, kind, gamma, beta, offset, ab2.data(), ba2.data(), 2);
    CHECK(same_bits(ab, ab2) && same_bits(ba, ba2), "threads, n " + std::to_string(n));
    CHECK(same_bits_as_transpose(ab, n) && same_bits_as_transpose(ba, n), "symmetry, n " + std::to_string(n));
    run(b.data(), a.data(), n, kind, gamma, beta, offset, ba2.data(), ab2.data(), 2);
    CHECK(same_bits(ab, ab2) && same_bits(ba, ba2), "swap, n " + std::to_string(n));
    // beta G carries the error of G (3 ulps of tanh, 4 of its argument, half each for gamma, beta and
    // their products) times at most beta; exp turns it into a relative one, and adds its own.
    const double bound = (biased ? beta : 5 * std::log(4.0)) * 8 + kExponentialUlps + 2;
    const double epsilon = std::numeric_limits<F>::epsilon();
    const auto affinity = [&](std::int64_t i, std::int64_t j, long double sign) {
      const long double g = biased ? biased_definition(a[i * n + j], b[i * n + j], gamma, offset)
                                   : gamma * (static_cast<long double>(a[i * n + j]) - b[i * n + j]);
      return std::exp(sign * beta * g);
    };
    const auto near = [&](F computed, long double exact) {
      return std::fabs(computed / exact - 1) <= bound * epsilon;
    };
    for (std::int64_t i = 0; i < n; ++i)
      for (std::int64_t j = n < 200 ? 0 : i % 7; j < n; j += n < 200 ? 1 : 31) {
        const std::int64_t at = i * n + j;
        CHECK(near(ab[at], (affinity(i, j, -1) + affinity(j, i, -1)) / 2), "A, n " + std::to_string(n));
        CHECK(near(ba[at], (affinity(i, j, 1) + affinity(j, i, 1)) / 2), "B, n " + std::to_string(n));
      }
    std::vector<F> over_a(n * n), over_b(n * n);
    std::memcpy(over_a.data(), a.data(), sizeof(F) * n * n);
    std::memcpy(over_b.data(), b.data(), sizeof(F) * n * n);
    run(reinterpret_cast<const T*>(over_a.data()), reinterpret_cast<const T*>(over_b.data()), n, kind, gamma,
        beta, offset, over_a.data(), over_b.data(), 2);
    CHECK(same_bits(over_a, ab) && same_bits(over_b, ba), "in place, n " + std::to_string(n));
  }
}

}  // namespace

TEST(distances_of_floats) { check_distances(operations().distances_f32); }
TEST(distances_of_doubles) { check_distances(operations().distances_f64); }
TEST(ranks_of_floats) { check_ranks(operations().ranks_f32); }
TEST(ranks_of_doubles) { check_ranks(operations().ranks_f64); }

TEST(ranks_from_products_are_those_of_the_distances) {
  const Operations& ops = operations();
  check_ranks_from_products(ops.ranks_from_products_f32, ops.ranks_f32, ops.distances_f32);
  check_ranks_from_products(ops.ranks_from_products_f64, ops.ranks_f64, ops.distances_f64);
}

TEST(locally_biased_difference_of_ranks) { check_biased(operations().biased_i32); }
TEST(locally_biased_difference_of_floats) { check_biased(operations().biased_f32); }
TEST(locally_biased_difference_of_doubles) { check_biased(operations().biased_f64); }
TEST(affinity_of_ranks) { check_affinity(operations().affinity_i32, Difference::locally_biased); }
TEST(affinity_of_floats) { check_affinity(operations().affinity_f32, Difference::locally_biased); }
TEST(affinity_of_doubles) { check_affinity(operations().affinity_f64, Difference::locally_biased); }
TEST(subtraction_affinity_of_ranks) { check_affinity(operations().affinity_i32, Difference::subtraction); }
TEST(subtraction_affinity_of_floats) { check_affinity(operations().affinity_f32, Difference::subtraction); }
TEST(subtraction_affinity_of_doubles) { check_affinity(operations().affinity_f64, Difference::subtraction); }

// With b = 0 and offset 1 the difference is tanh(a), with a = 0 and b = x it is tanh(-x).
TEST(tanh_at_this_level_is_as_accurate_as_the_portable_one) {
  std::vector<float> a, b;
  sweep(0.0f, std::numeric_limits<float>::max(), kStride, [&](float x) {
    a.push_back(x > 0 ? x : 0);
    b.push_back(x > 0 ? 0 : -x);
  });
  std::vector<float> g(a.size());
  operations().biased_f32(a.data(), b.data(), static_cast<std::int64_t>(a.size()), 1.0, 1.0, g.data(), 2);
  double worst = 0;
  for (std::size_t i = 0; i < a.size(); ++i)
    worst = std::max(worst, ulps(g[i], std::tanh(static_cast<double>(a[i]) - b[i])));
  std::printf("tanh: at most %.3f ulp\n", worst);
  CHECK(worst <= kTangentUlps, std::to_string(worst));
}

// Subtraction of a symmetric matrix and zero, gamma = beta = 1: the affinities are exp(-a) and exp(a).
TEST(exp_at_this_level_is_as_accurate_as_the_portable_one) {
  constexpr std::int64_t n = 1024;
  std::vector<float> exponents;
  sweep(0.0f, 87.0f, 2 * kStride, [&](float x) { exponents.push_back(x); });
  exponents.resize(exponents.size() / (n * (n + 1) / 2) * (n * (n + 1) / 2));
  std::vector<float> a(n * n), zero(n * n, 0.0f), ab(n * n), ba(n * n);
  double worst = 0, worst_reciprocal = 0;
  for (std::size_t next = 0; next < exponents.size();) {
    for (std::int64_t i = 0; i < n; ++i)
      for (std::int64_t j = 0; j <= i; ++j) a[i * n + j] = a[j * n + i] = exponents[next++];
    operations().affinity_f32(a.data(), zero.data(), n, Difference::subtraction, 1.0, 1.0, 0.0, ab.data(),
                              ba.data(), 2);
    for (std::int64_t i = 0; i < n * n; ++i) {
      worst = std::max(worst, ulps(ab[i], std::exp(-static_cast<double>(a[i]))));
      worst_reciprocal = std::max(worst_reciprocal, ulps(ba[i], std::exp(static_cast<double>(a[i]))));
    }
  }
  std::printf("exp: at most %.3f ulp, reciprocal %.3f ulp\n", worst, worst_reciprocal);
  CHECK(worst <= kExponentialUlps, std::to_string(worst));
  CHECK(worst_reciprocal <= kExponentialUlps, std::to_string(worst_reciprocal));
}

template <class F>
void check_knn(Operations::Knn<F> run) {
  for (const std::int64_t n : kSizes) {
    const std::vector<F> affinity = values<F>(n % 2 ? Values::few_distinct : Values::uniform, n * n, 41);
    std::vector<std::int64_t> labels(n);
    for (std::int64_t j = 0; j < n; ++j) labels[j] = j % 4 - 1;
    for (const int k : {1, 8, diptych::cpu::kMaxNeighbors}) {
      std::vector<F> scores(n, F(NAN)), scores2(n, F(NAN));
      std::vector<std::int64_t> neighbors(n * k, -7), neighbors2(n * k, -7);
      run(affinity.data(), labels.data(), n, 0, n, k, scores.data(), neighbors.data(), 1);
      run(affinity.data(), labels.data(), n, 0, n, k, scores2.data(), neighbors2.data(), 2);
      CHECK(same_bits(scores, scores2) && neighbors == neighbors2, "threads, n " + std::to_string(n));
      for (std::int64_t i = 0; i < n; i += n < 200 ? 1 : 13) {
        const auto members = knn_by_sorting(&affinity[i * n], labels.data(), n, i, k);
        long double sum = 0;
        for (int place = 0; place < k; ++place) {
          const bool present = place < static_cast<int>(members.size());
          CHECK(neighbors[i * k + place] == (present ? members[place] : -1), "n " + std::to_string(n));
          if (present) sum += affinity[i * n + members[place]];
        }
        // k additions, half an ulp each, of terms of one sign.
        CHECK(std::fabs(scores[i] - sum) <= k * std::numeric_limits<F>::epsilon() * sum, std::to_string(i));
      }
    }
  }
}

TEST(knn_affinity_of_floats) { check_knn(operations().knn_f32); }
TEST(knn_affinity_of_doubles) { check_knn(operations().knn_f64); }

template <class F>
void check_block_product(Operations::BlockProduct<F> run) {
  constexpr int width = diptych::cpu::kBlockWidth;
  for (const std::int64_t n : {1, 2, 3, 7, 8, 9, 31, 33, 129, 1023}) {
    const std::vector<F> matrix = values<F>(Values::uniform, n * n, 61), x = values<F>(Values::uniform, n * width, 67);
    std::vector<F> out(n * width, std::numeric_limits<F>::quiet_NaN()), out2 = out;
    run(matrix.data(), x.data(), n, n, out.data(), 1);
    run(matrix.data(), x.data(), n, n, out2.data(), 2);
    CHECK(same_bits(out, out2), "threads");
    for (std::int64_t i = 0; i < n; ++i)
      for (int c = 0; c < width; ++c) {
        long double sum = 0, size = 0;
        for (std::int64_t j = 0; j < n; ++j) {
          const long double term = static_cast<long double>(matrix[i * n + j]) * x[j * width + c];
          sum += term;
          size += std::abs(term);
        }
        // n products and n sums, each rounded by at most half an eps of what it is part of.
        CHECK(std::abs(out[i * width + c] - sum) <= (n + 1) * std::numeric_limits<F>::epsilon() * size, "product");
      }
  }
}

TEST(block_product_of_floats) { check_block_product(operations().block_product_f32); }
TEST(block_product_of_doubles) { check_block_product(operations().block_product_f64); }

TEST(the_forced_instruction_set_is_the_one_in_use) {
  const char* forced = std::getenv("DIPTYCH_SIMD");
  CHECK(forced == nullptr || diptych::cpu::simd_level() == forced, diptych::cpu::simd_level());
}

TEST(thread_counts_are_passed_on_in_the_parent) {
  CHECK(diptych::cpu::usable_threads(3) == 3, "as asked");
  CHECK(diptych::cpu::usable_threads(0) == 1 && diptych::cpu::usable_threads(-1) == 1, "at least one");
}

// libgomp's threads do not survive a fork: a child that waits for them would hang.
TEST(a_forked_child_works_on_one_thread) {
  constexpr std::int64_t n = 129;
  const std::vector<float> distances = values<float>(Values::uniform, n * n, 43);
  std::vector<std::int32_t> ranks(n * n), in_child(n * n);
  operations().ranks_f32(distances.data(), n, n, 0, ranks.data(), 2);
  const pid_t child = fork();
  CHECK(child >= 0, "fork failed");
  if (child == 0) {
    alarm(30);
    const int threads = diptych::cpu::usable_threads(2);
    operations().ranks_f32(distances.data(), n, n, 0, in_child.data(), threads);
    _exit(threads == 1 && in_child == ranks ? 0 : 1);
  }
  int status = -1;
  CHECK(waitpid(child, &status, 0) == child, "waitpid failed");
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status " + std::to_string(status));
}
