// Newton steps of a lasso problem: on its nonzero coefficients, while their signs hold, it is least squares.
#pragma once

#include "lasso_problem.hpp"
#include "passive_set.hpp"

namespace diptych::core::DIPTYCH_ISA {

// Further than any coefficient can go.
constexpr double kLassoFar = 1e300;

// The workers of a lasso problem as the team that solve_passive_set asks for.
template <class Worker>
struct WorkerTeam {
  const Worker& worker;

  DIPTYCH_HD int first() const { return worker.rank(); }
  DIPTYCH_HD int step() const { return worker.size(); }
  DIPTYCH_HD bool leads() const { return worker.rank() == 0; }
  DIPTYCH_HD void wait() const { worker.wait(); }
  DIPTYCH_HD double total(double sum) const { return worker.sum(sum); }
};

// What a pass of coordinate descent and a factor cost, in operations.
DIPTYCH_HD inline double lasso_pass_cost(int used, std::int64_t size) { return 1. * used * size; }
DIPTYCH_HD inline double lasso_factor_cost(int used) { return 1. / 6 * used * used * used; }

// Doubles of memory for a support of up to `most` features: its Gram matrix and what factorises it.
DIPTYCH_HD constexpr std::int64_t lasso_support_numbers(int most) {
  return row_problem_numbers(most) + std::int64_t{most} * padded(most);
}

// Nonzero coefficients up to which a problem of this size gets that memory: at most 16 MiB.
DIPTYCH_HD constexpr int lasso_most_used(std::int64_t size) {
  return static_cast<int>(size < 1024 ? size : 1024);
}

// The support in memory: features, the factor's memory, and the direction with the gradient's fall along it.
struct LassoSupport {
  RowProblem row;
  double* gram;       // (count, padded(count)), of the features scaled to unit norm
  double* direction;  // (count,)
  double* slope;      // (size,) gram times direction
  int count;

  DIPTYCH_HD std::int64_t feature(int a) const { return row.states[a]; }
};

// direction = (G_SS)^-1 (g_S - alpha sign(w_S)), which leads to the minimum that the objective has for these
// signs. Features that depend on others, but for rounding, are eliminated as if kLeastPivot of them were left:
// the direction stays one of descent, long in what the Gram matrix does not see.
template <class F, class Worker>
DIPTYCH_HD inline void lasso_direction(const LassoProblem<F>& problem, const LassoSupport& s,
                                       const Worker& worker) {
  const RowProblem& row = s.row;
  const int stride = padded(s.count);
  const WorkerTeam<Worker> team{worker};
  for (int a = worker.rank(); a < s.count; a += worker.size()) {
    const std::int64_t j = s.feature(a);
    const double w = problem.coefficients[j], unit = 1 / std::sqrt(problem.scratch[j]);
    row.members[a] = a;
    row.x[a] = unit;
    row.b[a] = (problem.gradient[j] - (w < 0 ? -problem.alpha : problem.alpha)) * unit;
  }
  worker.wait();
  for (int a = 0; a < s.count; ++a) {
    const F* from = problem.gram + s.feature(a) * problem.size;
    for (int b = worker.rank(); b < s.count; b += worker.size())
      s.gram[a * stride + b] = static_cast<double>(from[s.feature(b)]) * row.x[a] * row.x[b];
  }
  worker.wait();
  solve_passive_set(team, Atoms{s.gram, nullptr, nullptr, s.count, stride}, row, s.count, true);
  for (std::int64_t i = worker.rank(); i < problem.size; i += worker.size()) s.slope[i] = 0;
  for (int a = worker.rank(); a < s.count; a += worker.size()) s.direction[a] = row.solution[a] * row.x[a];
  worker.wait();
  for (int a = 0; a < s.count; ++a) {
    const double d = s.direction[a];
    const F* from = problem.gram + s.feature(a) * problem.size;
    for (std::int64_t i = worker.rank(); i < problem.size; i += worker.size())
      s.slope[i] += d * static_cast<double>(from[i]);
  }
  worker.wait();
}

// Goes `length` along the direction. Coefficients that reach zero stay there and leave the direction.
template <class F, class Worker>
DIPTYCH_HD inline void lasso_advance(const LassoProblem<F>& problem, const LassoSupport& s, double length,
                                     const Worker& worker) {
  for (std::int64_t i = worker.rank(); i < problem.size; i += worker.size())
    problem.gradient[i] -= length * s.slope[i];
  for (int a = worker.rank(); a < s.count; a += worker.size()) {
    const double d = s.direction[a], old = problem.coefficients[s.feature(a)], w = old + length * d;
    if (d == 0) continue;
    const bool ends = old * d < 0 && (-old / d <= length || (w < 0) != (old < 0));
    problem.coefficients[s.feature(a)] = ends ? 0 : w;
  }
  worker.wait();
  for (int a = 0; a < s.count; ++a) {
    const double d = s.direction[a];
    if (d == 0 || problem.coefficients[s.feature(a)] != 0) continue;
    const F* from = problem.gram + s.feature(a) * problem.size;
    for (std::int64_t i = worker.rank(); i < problem.size; i += worker.size())
      s.slope[i] -= d * static_cast<double>(from[i]);
  }
  worker.wait();
  for (int a = worker.rank(); a < s.count; a += worker.size())
    if (problem.coefficients[s.feature(a)] == 0) s.direction[a] = 0;
  worker.wait();
}

// From the coefficients towards the minimum for their signs; where one would change its sign it is left at
// zero and the others go on, as long as the objective falls. Each part of the way is one of descent, so the
// objective never rises. Returns the residual.
template <class F, class Worker>
DIPTYCH_HD inline double lasso_walk(const LassoProblem<F>& problem, const LassoSupport& s, double residual,
                                    const Worker& worker) {
  for (int turns = 0; turns <= s.count; ++turns) {
    double fit = 0, growth = 0, curvature = 0, nearest = -kLassoFar;
    for (int a = worker.rank(); a < s.count; a += worker.size()) {
      const std::int64_t j = s.feature(a);
      const double d = s.direction[a], w = problem.coefficients[j];
      fit += d * problem.gradient[j];
      growth += w < 0 ? -d : d;
      curvature += d * s.slope[j];
      if (w * d < 0 && w / d > nearest) nearest = w / d;
    }
    fit = worker.sum(fit);
    curvature = worker.sum(curvature);
    const double fall = fit - problem.alpha * worker.sum(growth), turn = -worker.largest(nearest);
    if (!(fall > 0)) break;
    const bool whole = fall < turn * curvature;
    const double length = whole ? fall / curvature : turn;
    if (!(length < kLassoFar)) break;
    const double after = residual - length * (2 * fit - length * curvature);
    if (!(after > 0)) break;
    residual = after;
    lasso_advance(problem, s, length, worker);
    if (whole) break;
  }
  return residual;
}

// Lists the nonzero coefficients; returns how many there are.
template <class F, class Worker>
DIPTYCH_HD inline int lasso_list_used(const LassoProblem<F>& problem, const LassoSupport& s,
                                      const Worker& worker) {
  return worker.of_first([&] {
    int place = 0;
    for (std::int64_t j = 0; j < problem.size; ++j)
      if (problem.coefficients[j] != 0) s.row.states[place++] = static_cast<int>(j);
    return place;
  });
}

// Newton steps on the nonzero coefficients, of which there are `used`, to the minimum that their signs allow
// (as Osborne, Presnell & Turlach 2000, sec. 3, who stop where the first sign changes), as long as the budget
// lasts or until none of them became zero. Updates the problem; `memory` (2, size) is for the direction.
// Returns what is left of the budget. O(used^3 + used size) each.
template <class F, class Worker>
DIPTYCH_HD inline double lasso_steps(LassoProblem<F>& problem, int used, double budget, double* memory,
                                     const Worker& worker) {
  while (used > 0 && lasso_factor_cost(used) <= budget) {
    budget -= lasso_factor_cost(used);
    LassoSupport s{row_problem(problem.support, used), problem.support + row_problem_numbers(used),
                   memory + problem.size, memory, used};
    lasso_list_used(problem, s, worker);
    lasso_direction(problem, s, worker);
    problem.residual = lasso_walk(problem, s, problem.residual, worker);
    const int left = lasso_list_used(problem, s, worker);
    if (left == used) break;
    used = left;
  }
  return budget;
}

}  // namespace diptych::core::DIPTYCH_ISA
