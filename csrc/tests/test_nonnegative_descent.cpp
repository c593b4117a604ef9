// Coordinate descent for non-negative factors: the core as a device thread compiles it (one lane) and the
// operation at the instruction set this process runs, against the closed form coordinate by coordinate.
#define DIPTYCH_ISA one_lane
#include "../core/nonnegative_descent.hpp"
#undef DIPTYCH_ISA

#include "../cpu/dispatch.hpp"
#include "check.hpp"
#include "data.hpp"

using namespace diptych::tests;
using diptych::cpu::operations;
using diptych::cpu::Operations;

namespace {

struct Problem {
  int problems, k;
  std::int64_t m;
  std::vector<double> gram, p, h;

  Problem(int problems, int k, std::int64_t m) : problems(problems), k(k), m(m), gram(problems * k * k, 0.0) {
    std::mt19937 random(7);
    std::normal_distribution<double> draw;
    for (int b = 0; b < problems; ++b) {
      std::vector<double> w(k * 5);
      for (double& value : w) value = draw(random);
      if (k > 2)
        for (int i = 0; i < 5; ++i) w[5 + i] = 0;  // its coordinate stays
      for (int i = 0; i < k; ++i)
        for (int j = 0; j < k; ++j)
          gram[(b * k + i) * k + j] = std::inner_product(&w[i * 5], &w[i * 5] + 5, &w[j * 5], 0.0);
    }
    p.resize(problems * k * m);
    h.resize(problems * k * m);
    for (double& value : p) value = 3 * draw(random);
    for (double& value : h) value = std::fabs(draw(random));
  }

  // One column by the definition.
  std::vector<double> expected(int b, std::int64_t column, int sweeps) const {
    std::vector<double> x(k);
    for (int j = 0; j < k; ++j) x[j] = h[(b * k + j) * m + column];
    for (int sweep = 0; sweep < sweeps; ++sweep)
      for (int j = 0; j < k; ++j) {
        const double* row = &gram[(b * k + j) * k];
        if (row[j] == 0) continue;
        const double rest = p[(b * k + j) * m + column] - std::inner_product(row, row + k, x.data(), 0.0);
        x[j] = std::max(0.0, x[j] + rest / row[j]);
      }
    return x;
  }
};

template <class F>
void check_operation(Operations::NonnegativeDescent<F> run, double tolerance) {
  for (int problems : {1, 3})
    for (int k : {1, 2, 10, 33})
      for (std::int64_t m : kSizes) {
        if (k == 33 && m > 65) continue;
        const Problem problem(problems, k, m);
        const std::vector<F> gram(problem.gram.begin(), problem.gram.end()),
            p(problem.p.begin(), problem.p.end());
        std::vector<F> found(problem.h.begin(), problem.h.end()), alone(found);
        run(gram.data(), p.data(), problems, k, m, 2, found.data(), 2);
        run(gram.data(), p.data(), problems, k, m, 2, alone.data(), 1);
        CHECK(found == alone, "threads changed the result");
        for (int b = 0; b < problems; ++b)
          for (std::int64_t column = 0; column < m; ++column) {
            const std::vector<double> wanted = problem.expected(b, column, 2);
            double size = 1;
            for (double value : wanted) size = std::max(size, value);
            for (int j = 0; j < k; ++j) {
              const double value = found[(b * k + j) * m + column];
              CHECK(std::fabs(value - wanted[j]) <= tolerance * size, std::to_string(value));
            }
          }
      }
}

}  // namespace

// Rounding of k terms per coordinate, amplified by a Gram matrix of rank five over two sweeps.
TEST(nonnegative_descent_is_the_closed_form_in_float) {
  check_operation(operations().nonnegative_descent_f32, 1e-2);
}
TEST(nonnegative_descent_is_the_closed_form_in_double) {
  check_operation(operations().nonnegative_descent_f64, 1e-11);
}

TEST(nonnegative_descent_of_one_lane_is_the_closed_form) {
  const Problem problem(1, 10, 1);
  std::vector<double> h = problem.h, inverse(10);
  for (int j = 0; j < 10; ++j) inverse[j] = problem.gram[j * 11] > 0 ? 1 / problem.gram[j * 11] : 0;
  diptych::core::one_lane::nonnegative_descent<1>(problem.gram.data(), inverse.data(), problem.p.data(), 10,
                                                  3, h.data());
  const std::vector<double> wanted = problem.expected(0, 0, 3);
  for (int j = 0; j < 10; ++j)
    CHECK(std::fabs(h[j] - wanted[j]) <= 1e-11 * (1 + wanted[j]), std::to_string(h[j]));
}
