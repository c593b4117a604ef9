// The lasso at the instruction set in use, and its core as a block of a device runs it: by many, in one lane.
#define DIPTYCH_ONE_LANE
#define DIPTYCH_ISA one_lane
#include "../core/lasso_descent.hpp"
#undef DIPTYCH_ISA

#include <omp.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "../cpu/dispatch.hpp"
#include "check.hpp"
#include "data.hpp"

using namespace diptych::tests;
using diptych::cpu::operations;
namespace core = diptych::core::one_lane;

// x (n, p) of numbers around zero and targets y (n, 1) of its first two columns; both are multiples of 1/64.
static void lasso_data(std::int64_t n, std::int64_t p, std::vector<double>& x, std::vector<double>& y) {
  x = values<double>(Values::integers, n * p, 61);
  y.assign(n, 0);
  for (double& value : x) value = (value - 50) / 64;
  for (std::int64_t i = 0; i < n; ++i) y[i] = x[i * p] - (p > 1 ? x[i * p + 1] : 0);
}

static long double lasso_slope(const std::vector<double>& x, const std::vector<double>& y, std::int64_t p,
                               const double* w, std::int64_t j) {
  const std::int64_t n = static_cast<std::int64_t>(y.size());
  long double slope = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    long double residual = y[i];
    for (std::int64_t k = 0; k < p; ++k) residual -= static_cast<long double>(x[i * p + k]) * w[k];
    slope += residual * x[i * p + j];
  }
  return slope / n;
}

template <class F>
static void check_lasso(diptych::cpu::Operations::Lasso<F> lasso) {
  constexpr double alpha = 0.01, tolerance = 1e-10;
  for (const std::int64_t p : kSizes) {
    if (p > 129) continue;
    const std::int64_t n = 2 * p + 3;
    std::vector<double> x, y;
    lasso_data(n, p, x, y);
    std::vector<F> gram(p * p);
    std::vector<double> slope(2 * p), w(2 * p, 0.0), slope2, w2 = w;
    double power = 0;
    for (const double value : y) power += value * value / n;
    for (std::int64_t j = 0; j < p; ++j) {
      for (std::int64_t k = 0; k < p; ++k) {
        double sum = 0;
        for (std::int64_t i = 0; i < n; ++i) sum += x[i * p + j] * x[i * p + k];
        gram[j * p + k] = static_cast<F>(sum / n);
      }
      slope[j] = slope[p + j] = static_cast<double>(lasso_slope(x, y, p, w.data(), j));
    }
    slope2 = slope;
    // Two problems on one Gram matrix; the second has so large an alpha that nothing is used.
    const F* grams[] = {gram.data(), gram.data()};
    const std::int64_t starts[] = {0, p, 2 * p};
    const double alphas[] = {alpha, 100.0}, tolerances[] = {tolerance, tolerance}, powers[] = {power, power};
    std::int32_t passes[] = {0, 0}, passes2[] = {0, 0};
    lasso(grams, starts, 2, alphas, tolerances, powers, slope.data(), w.data(), passes, 100000, 1);
    lasso(grams, starts, 2, alphas, tolerances, powers, slope2.data(), w2.data(), passes2, 100000, 2);
    CHECK(same_bits(w, w2) && passes[0] == passes2[0], "threads, p " + std::to_string(p));
    CHECK(passes[0] < 100000 && passes[1] == 0, "passes " + std::to_string(passes[0]));
    for (std::int64_t j = 0; j < p; ++j) {
      const long double g = lasso_slope(x, y, p, w.data(), j);
      // |x_j| <= 1: slopes are off by at most sqrt(2 gap), and by the Gram matrix's rounding, of p entries.
      const long double slack =
          std::sqrt(2 * tolerance) + 4.0L * p * std::numeric_limits<F>::epsilon();
      CHECK(std::fabs(g) <= alpha + slack, "slope, p " + std::to_string(p));
      if (std::fabs(w[j]) > 1e-3)
        CHECK(std::fabs(g - (w[j] > 0 ? alpha : -alpha)) <= slack, "sign, p " + std::to_string(p));
      CHECK(w[p + j] == 0, "large alpha");
    }
  }
}

TEST(lasso_on_float_gram_matrices) { check_lasso(operations().lasso_f32); }
TEST(lasso_on_double_gram_matrices) { check_lasso(operations().lasso_f64); }

TEST(lasso_of_a_small_problem_leaves_the_fold_out) {
  for (const std::int64_t p : {std::int64_t(1), std::int64_t(3), std::int64_t(9), std::int64_t(33)}) {
    const std::int64_t n = 2 * p + 4;
    std::vector<double> x, y;
    lasso_data(n, p, x, y);
    std::vector<std::int64_t> order(n);
    for (std::int64_t i = 0; i < n; ++i) order[i] = n - 1 - i;
    const std::int64_t starts[] = {0, 2, n / 2}, none[] = {n - 2, n - 2};
    const double alpha = 0.01;
    std::vector<double> w(2 * p), alone(p), gaps(2), gap(1);
    std::int32_t passes[2];
    CHECK(operations().lasso_small_f64(x.data(), y.data(), order.data(), starts, 2, n, p, 1, &alpha, 1,
                                       1e-9, 100000, true, w.data(), gaps.data(), passes) == 0,
          "all solved");
    // Without the items n - 1 and n - 2, which the first model leaves out.
    CHECK(operations().lasso_small_f64(x.data(), y.data(), nullptr, none, 1, n - 2, p, 1, &alpha, 0, 1e-9,
                                       100000, true, alone.data(), gap.data(), passes) == 0,
          "all solved");
    double power = 0, moved = 0;
    for (std::int64_t i = 0; i < n - 2; ++i) {
      double difference = 0;
      for (std::int64_t j = 0; j < p; ++j) difference += x[i * p + j] * (w[j] - alone[j]);
      power += y[i] * y[i];
      moved += difference * difference;
    }
    // Both within the gap of the one optimum, whose objective is strongly convex in the fit.
    CHECK(moved <= 4 * 2 * 1e-9 * power, "p " + std::to_string(p));
    CHECK(gaps[0] >= 0 && gaps[0] <= 1e-9 * power / (n - 2), "gap");
  }
}

TEST(gathered_columns_are_in_order) {
  const std::vector<float> x = values<float>(Values::uniform, 33 * 9, 67);
  const std::int64_t columns[] = {8, 0, 3};
  std::vector<std::int64_t> order(33);
  for (std::int64_t i = 0; i < 33; ++i) order[i] = (i * 7) % 33;
  std::vector<float> out(33 * 3, std::nanf("")), sorted = out;
  operations().gather_columns_f32(x.data(), nullptr, 33, 9, columns, 3, out.data(), 2);
  operations().gather_columns_f32(x.data(), order.data(), 33, 9, columns, 3, sorted.data(), 1);
  for (std::int64_t i = 0; i < 33; ++i)
    for (int j = 0; j < 3; ++j) {
      CHECK(out[i * 3 + j] == x[i * 9 + columns[j]], "plain");
      CHECK(sorted[i * 3 + j] == x[order[i] * 9 + columns[j]], "sorted");
    }
}

namespace {

// OpenMP threads as the workers of one problem.
struct OpenMPWorker {
  double* shared;  // one number for each thread

  static int rank() { return omp_get_thread_num(); }
  static int size() { return omp_get_num_threads(); }
  static void wait() {
#pragma omp barrier
  }
  template <class Combine>
  double reduce(double value, Combine combine) const {
    wait();
    shared[rank()] = value;
    wait();
    double result = shared[0];
    for (int i = 1; i < size(); ++i) result = combine(result, shared[i]);
    wait();
    return result;
  }
  double sum(double value) const {
    return reduce(value, [](double a, double b) { return a + b; });
  }
  double largest(double value) const {
    return reduce(value, [](double a, double b) { return a > b ? a : b; });
  }
  template <class Task>
  int of_first(const Task& task) const {
    wait();
    if (rank() == 0) shared[0] = task();
    wait();
    const int result = static_cast<int>(shared[0]);
    wait();
    return result;
  }
};

// The Gram matrix (p, p) of x (n, p), whose columns repeat with the other sign from `distinct` on, with the
// gradient at zero and |y|^2 / n.
struct TeamProblem {
  std::vector<double> gram, slope;
  double power = 0;

  TeamProblem(std::int64_t n, std::int64_t p, std::int64_t distinct) : gram(p * p, 0.0), slope(p, 0.0) {
    std::vector<double> x, y;
    lasso_data(n, p, x, y);
    const std::vector<double> noise = values<double>(Values::integers, n, 67);
    for (std::int64_t i = 0; i < n; ++i) {
      double* row = &x[i * p];
      for (std::int64_t j = distinct; j < p; ++j) row[j] = -row[j - distinct];
      y[i] += noise[i] / 64;
      power += y[i] * y[i] / n;
      for (std::int64_t j = 0; j < p; ++j) {
        slope[j] += row[j] * y[i] / n;
        for (std::int64_t k = 0; k < p; ++k) gram[j * p + k] += row[j] * row[k] / n;
      }
    }
  }
};

}  // namespace

TEST(lasso_of_dependent_features_by_a_team) {
  constexpr int most_passes = 2000;
  for (const std::int64_t p : {std::int64_t(1), std::int64_t(2), std::int64_t(9), std::int64_t(33)})
    for (const std::int64_t n : {p / 2 + 1, 3 * p})
      for (const std::int64_t distinct : {p, p / 2 + 1})
        for (const int threads : {1, 4}) {
          const TeamProblem made(n, p, distinct);
          const auto most = core::lasso_most_used(p);
          std::vector<double> slope = made.slope, w(p, 0.0), scratch(core::kLassoScratch * p, NAN),
                              support(core::lasso_support_numbers(most), NAN), shared(threads);
          std::vector<std::int32_t> candidates(p, -1);
          int passes = 0;
#pragma omp parallel num_threads(threads)
          {
            core::LassoProblem<double> problem = {made.gram.data(), p, 1e-4, 1e-10 * made.power, made.power,
                                                  slope.data(), w.data(), scratch.data(), candidates.data(),
                                                  support.data(), most};
            const int done = core::solve_lasso(problem, 0, most_passes, OpenMPWorker{shared.data()});
#pragma omp single
            passes = done;
          }
          const std::string where = "p " + std::to_string(p) + ", n " + std::to_string(n) + ", distinct " +
                                    std::to_string(distinct) + ", threads " + std::to_string(threads);
          CHECK(passes < most_passes, where);
          double l1 = 0, fit = 0, quadratic = 0, peak = 0;
          for (std::int64_t j = 0; j < p; ++j) {
            double moved = 0;
            for (std::int64_t k = 0; k < p; ++k) moved += made.gram[j * p + k] * w[k];
            l1 += std::fabs(w[j]);
            fit += w[j] * (made.slope[j] - moved);
            quadratic += w[j] * (2 * made.slope[j] - moved);
            peak = std::max(peak, std::fabs(made.slope[j] - moved));
          }
          // Gradients kept in step drift by rounding, of passes * p steps at most.
          const double gap = core::lasso_gap(made.power - quadratic, fit, l1, peak, 1e-4).gap;
          CHECK(gap <= 2e-10 * made.power, where + ", gap " + std::to_string(gap / made.power * 1e10));
        }
}
