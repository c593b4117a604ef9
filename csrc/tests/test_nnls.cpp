// Non-negative least squares: the core as a device thread compiles it (one lane) and the operation at the
// instruction set this process runs, against the best of all passive sets and the optimality conditions.
#define DIPTYCH_ONE_LANE
#define DIPTYCH_ISA one_lane
#include "../core/nnls_lanes.hpp"
#include "../core/nnls_row.hpp"
#undef DIPTYCH_ISA

#include "../cpu/dispatch.hpp"
#include "check.hpp"
#include "data.hpp"

using namespace diptych::tests;
namespace core = diptych::core::one_lane;
using diptych::cpu::operations;
using diptych::cpu::Operations;

namespace {

constexpr int kLimits[] = {40, 1000, 10000};
constexpr core::NnlsLimits kAll{40, 1000, 10000}, kActiveSets{1, 1000, 0}, kDescent{1, 0, 10000};

enum class Kind { gaussian, positive, duplicates, zeros };
constexpr Kind kKinds[] = {Kind::gaussian, Kind::positive, Kind::duplicates, Kind::zeros};

std::vector<double> normal(std::int64_t count, std::uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<double> draw;
  std::vector<double> result(count);
  for (double& value : result) value = draw(random);
  return result;
}

std::vector<double> dictionary(Kind kind, int k, int d) {
  std::vector<double> w = normal(std::int64_t(k) * d, 3);
  for (int j = 0; j < k; ++j)
    for (int i = 0; i < d; ++i) {
      double& value = w[j * d + i];
      if (kind == Kind::positive) value = std::fabs(value);
      if (kind == Kind::duplicates && j >= (k + 1) / 2) value = w[(j - (k + 1) / 2) * d + i];
      if (kind == Kind::zeros && j % 3 == 1) value = 0;
    }
  return w;
}

double dot(const double* x, const double* y, int d) { return std::inner_product(x, x + d, y, 0.0); }

// The largest violation of the optimality conditions, per |a| |w_j|; infinite for a negative coefficient.
template <class F>
double violation(const double* a, const std::vector<double>& w, const F* u, int k, int d) {
  std::vector<double> rest(d);
  for (int i = 0; i < d; ++i) {
    rest[i] = -a[i];
    for (int j = 0; j < k; ++j) rest[i] += u[j] * w[j * d + i];
  }
  double worst = 0;
  for (int j = 0; j < k; ++j) {
    const double* atom = &w[j * d];
    const double size = std::sqrt(dot(a, a, d) * dot(atom, atom, d));
    const double gradient = size > 0 ? dot(atom, rest.data(), d) / size : 0;
    if (!(u[j] >= 0)) return INFINITY;
    worst = std::max(worst, u[j] > 0 ? std::fabs(gradient) : -gradient);
  }
  return worst;
}

// The unit atoms with their Gram matrix and its inverse, and products of rows with them.
struct Problem {
  int k, d, stride;
  std::vector<double> w, a, units, gram, inverse, norms, products, memory;

  Problem(Kind kind, int k, int d, int rows)
      : k(k), d(d), stride(core::padded(k)), w(dictionary(kind, k, d)), a(normal(std::int64_t(rows) * d, 5)),
        units(k * d), gram(k * stride), inverse(k * stride), norms(k), products(rows * k),
        memory(core::row_problem_numbers(k), NAN) {
    for (int j = 0; j < k; ++j) norms[j] = core::unit_atom(&w[j * d], d, &units[j * d]);
    for (int i = 0; i < k; ++i)
      for (int j = 0; j < k; ++j) gram[i * stride + j] = dot(&units[i * d], &units[j * d], d);
    for (int i = 0; i < rows; ++i)
      for (int j = 0; j < k; ++j) products[i * k + j] = dot(&a[i * d], &units[j * d], d);
    core::factorize_all(core::Solo{}, atoms(), core::row_problem(memory.data(), k));
    for (int j = 0; j < k; ++j)
      core::inverse_column(core::row_problem(memory.data(), k), j, k, &inverse[j * stride]);
  }
  core::Atoms atoms() const { return {gram.data(), inverse.data(), norms.data(), k, stride}; }
};

std::string label(Kind kind, int k) {
  return "kind " + std::to_string(static_cast<int>(kind)) + ", k " + std::to_string(k);
}

void check_rows(const Problem& problem, const std::vector<double>& u, int rows, double most,
                const std::string& what) {
  for (int row = 0; row < rows; ++row) {
    const double found = violation(&problem.a[row * problem.d], problem.w, &u[row * problem.k], problem.k,
                                   problem.d);
    CHECK(found <= most, what + ", row " + std::to_string(row) + ": " + std::to_string(found));
  }
}

template <class F>
void check_operation(Operations::Nnls<F> run, double most) {
  for (const Kind kind : kKinds)
    for (const int k : {1, 2, 5, 8, 9, 10, 33, 40, 41, 64, 65}) {
      const int d = 35, rows = 300;
      const Problem problem(kind, k, d, rows);
      const std::vector<F> a(problem.a.begin(), problem.a.end()), w(problem.w.begin(), problem.w.end());
      std::vector<F> one(rows * k, F(NAN)), two(rows * k, F(NAN));
      std::int64_t report[2] = {-1, -1};
      run(a.data(), w.data(), rows, d, k, kLimits, one.data(), report, 1);
      CHECK(report[0] == rows && report[1] == rows, label(kind, k));
      run(a.data(), w.data(), rows, d, k, kLimits, two.data(), report, 2);
      CHECK(std::memcmp(one.data(), two.data(), sizeof(F) * one.size()) == 0, "threads, " + label(kind, k));
      for (int row = 0; row < rows; ++row) {
        const double found = violation(&problem.a[row * d], problem.w, &one[row * k], k, d);
        CHECK(found <= most, label(kind, k) + ": " + std::to_string(found));
      }
    }
}

}  // namespace

TEST(nnls_of_one_lane_meets_the_optimality_conditions) {
  for (const Kind kind : kKinds)
    for (const int k : {1, 2, 3, 7, 8, 16}) {
      const int rows = 50;
      const Problem problem(kind, k, 20, rows);
      const core::Atoms atoms = problem.atoms();
      std::vector<double> memory(core::lane_problem_numbers(k), NAN), u(rows * k, NAN);
      core::NnlsReport report{rows, rows};
      core::solve_rows_in_lanes(atoms, problem.products.data(), 0, rows, 1, kAll.pivots,
                                core::lane_problems(memory.data(), k), u.data(), report,
                                [&](std::int64_t row, int, double) { CHECK(false, std::to_string(row)); });
      CHECK(report.nonfinite == rows && report.unsolved == rows, label(kind, k));
      check_rows(problem, u, rows, 1e-12, label(kind, k));
    }
}

TEST(nnls_of_one_row_meets_the_optimality_conditions_by_every_method) {
  for (const Kind kind : kKinds)
    for (const int k : {1, 2, 3, 7, 9, 30, 45})
      for (const core::NnlsLimits& limits : {kAll, kActiveSets, kDescent}) {
        const int rows = 20;
        const bool descent = limits.exchanges == 0;
        if (descent && k > 20) continue;  // more atoms than columns: not a job for coordinate descent
        Problem problem(kind, k, 20, rows);
        std::vector<double> u(rows * k, NAN);
        core::NnlsReport report{rows, rows};
        for (int row = 0; row < rows; ++row)
          core::solve_row(core::Solo{}, problem.atoms(), problem.products.data(), row, limits,
                          core::row_problem(problem.memory.data(), k), u.data(), report);
        CHECK(report.nonfinite == rows && report.unsolved == rows, label(kind, k));
        check_rows(problem, u, rows, descent ? 1e-7 : 1e-11, label(kind, k));
      }
}

// Rounding to F moves the gradient by eps times the sum of the coefficients' lengths, at most k |a| here.
TEST(nnls_meets_the_optimality_conditions_in_float) { check_operation(operations().nnls_f32, 65 * 6e-8); }
TEST(nnls_meets_the_optimality_conditions_in_double) { check_operation(operations().nnls_f64, 1e-11); }

TEST(nnls_tells_rows_that_are_not_finite_or_not_solved) {
  const int rows = 300, d = 12;
  const int none[] = {1, 0, 0};
  for (const int k : {6, 50}) {
    std::vector<double> a = normal(rows * d, 1), w = normal(k * d, 2), u(rows * k, -1);
    for (int i = 0; i < 4 * d; ++i) a[i] = 0;
    a[270 * d + 3] = NAN;
    std::int64_t report[2];
    operations().nnls_f64(a.data(), w.data(), rows, d, k, kLimits, u.data(), report, 2);
    CHECK(report[0] == 270 && report[1] == rows, std::to_string(report[0]));
    for (int j = 0; j < k; ++j) {
      CHECK(u[j] == 0 && std::isnan(u[270 * k + j]), "zeros and NaN");
      CHECK(u[269 * k + j] >= 0 && u[271 * k + j] >= 0, "neighbors");
    }
    operations().nnls_f64(a.data(), w.data(), rows, d, k, none, u.data(), report, 2);
    CHECK(report[0] == 270 && report[1] >= 4 && report[1] < rows, std::to_string(report[1]));
    CHECK(std::isnan(u[report[1] * k]) && u[0] == 0, "unsolved rows are NaN");
  }
}
