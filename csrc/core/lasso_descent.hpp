// Coordinate descent on a lasso problem's Gram matrix, with gap-safe screening, extrapolation and Newton steps.
#pragma once

#include "lasso_support.hpp"

namespace diptych::core::DIPTYCH_ISA {

// Keeps, of the first `count` candidates, the nonzero ones and those that the gap does not prove to be zero in
// every solution: a feature is zero if |<x_j,dual>|/n + |x_j| sqrt(2 gap / n) < alpha (Ndiaye et al. 2017,
// theorem 6). Features that are zero throughout go too. Returns how many are left.
template <class F>
DIPTYCH_HD inline int lasso_screen(const LassoProblem<F>& problem, int count, const LassoGap& at) {
  int kept = 0;
  for (int c = 0; c < count; ++c) {
    const std::int32_t j = problem.candidates[c];
    const double product = at.scale * problem.gradient[j], d = problem.scratch[j];
    const double slack = problem.alpha - (product < 0 ? -product : product);
    const bool out = d <= 0 || (slack > 0 && slack * slack > 2 * at.gap * d);
    if (!out || problem.coefficients[j] != 0) problem.candidates[kept++] = j;
  }
  return kept;
}

// How many of the first `count` candidates are nonzero.
template <class F>
DIPTYCH_HD inline int lasso_used(const LassoProblem<F>& problem, int count) {
  int used = 0;
  for (int c = 0; c < count; ++c) used += problem.coefficients[problem.candidates[c]] != 0;
  return used;
}

// The value that minimises the objective over coefficient j alone.
DIPTYCH_HD inline double lasso_best(double gradient, double diagonal, double coefficient, double alpha) {
  const double free = gradient + diagonal * coefficient;
  if (free > alpha) return (free - alpha) / diagonal;
  if (free < -alpha) return (free + alpha) / diagonal;
  return 0;
}

// Solves matrix (m, m) z = 1 in place by elimination and scales z to sum to 1; false where that fails. The
// matrix is positive definite but for rounding.
DIPTYCH_HD inline bool lasso_weights(double* matrix, int m, double* z) {
  for (int i = 0; i < m; ++i) z[i] = 1;
  for (int i = 0; i < m; ++i) {
    const double pivot = matrix[i * m + i];
    if (!(pivot > 0)) return false;
    for (int k = i + 1; k < m; ++k) {
      const double factor = matrix[k * m + i] / pivot;
      for (int l = i; l < m; ++l) matrix[k * m + l] -= factor * matrix[i * m + l];
      z[k] -= factor * z[i];
    }
  }
  double total = 0;
  for (int i = m - 1; i >= 0; --i) {
    for (int k = i + 1; k < m; ++k) z[i] -= matrix[i * m + k] * z[k];
    z[i] /= matrix[i * m + i];
    total += z[i];
  }
  if (!(total * total > 0)) return false;
  for (int i = 0; i < m; ++i) z[i] /= total;
  return true;
}

// Iterates that an extrapolation combines, and doubles of scratch per feature that it needs.
constexpr int kLassoHistory = 6, kLassoScratch = 2 * kLassoHistory + 1;

// Anderson extrapolation (Bertrand & Massias 2021, algorithm 2) of the coefficients in history, (2, history,
// size) with their gradients: the affine combination whose combined steps are shortest. Taken if the
// objective falls; returns the residual. Gradients combine as coefficients do, being affine in them.
template <class F, class Worker>
DIPTYCH_HD inline double lasso_extrapolate(const LassoProblem<F>& problem, const double* history,
                                           double residual, const Worker& worker) {
  constexpr int m = kLassoHistory - 1;
  const std::int64_t size = problem.size;
  const double* gradients = history + kLassoHistory * size;
  double products[m * m], weights[m];
  for (int a = 0; a < m; ++a)
    for (int b = 0; b <= a; ++b) {
      double sum = 0;
      for (std::int64_t i = worker.rank(); i < size; i += worker.size())
        sum += (history[(a + 1) * size + i] - history[a * size + i]) *
               (history[(b + 1) * size + i] - history[b * size + i]);
      products[a * m + b] = products[b * m + a] = worker.sum(sum);
    }
  if (!lasso_weights(products, m, weights)) return residual;
  double fall = 0, growth = 0;
  const auto combine = [&](const double* iterates, std::int64_t i) {
    double sum = 0;
    for (int a = 0; a < m; ++a) sum += weights[a] * iterates[(a + 1) * size + i];
    return sum;
  };
  for (std::int64_t i = worker.rank(); i < size; i += worker.size()) {
    const double old = problem.coefficients[i], w = combine(history, i);
    fall += (w - old) * (problem.gradient[i] + combine(gradients, i));
    growth += (w < 0 ? -w : w) - (old < 0 ? -old : old);
  }
  fall = worker.sum(fall);  // of |r|^2 / n, which is quadratic: the step times the mean of both slopes
  growth = worker.sum(growth);
  if (!(problem.alpha * growth < fall / 2) || !(residual - fall > 0)) return residual;
  for (std::int64_t i = worker.rank(); i < size; i += worker.size()) {
    problem.coefficients[i] = combine(history, i);
    problem.gradient[i] = combine(gradients, i);
  }
  worker.wait();
  return residual - fall;
}

// Cyclic coordinate descent until the gap is within the tolerance or max_passes are done, counting on from
// `passes`. Updates residual, gradient and coefficients and returns the number of passes. A pass costs
// O(size) per coefficient that changes, O(1) per other candidate.
template <class F, class Worker>
DIPTYCH_HD inline int solve_lasso(LassoProblem<F>& problem, int passes, int max_passes, const Worker& worker) {
  const std::int64_t size = problem.size;
  double *diagonal = problem.scratch, *history = diagonal + size;
  int count = 0, held = 0;
  double budget = 0;
  const auto all_are_candidates = [&] {
    for (std::int64_t i = worker.rank(); i < size; i += worker.size())
      problem.candidates[i] = static_cast<std::int32_t>(i);
    count = static_cast<int>(size);
    worker.wait();
  };
  for (std::int64_t i = worker.rank(); i < size; i += worker.size())
    diagonal[i] = problem.gram[i * size + i];
  all_are_candidates();
  for (;; ++passes) {
    const LassoGap at = lasso_gap(problem, problem.residual, worker);
    if (!(at.gap > problem.tolerance) || passes >= max_passes) return passes;
    count = worker.of_first([&] { return lasso_screen(problem, count, at); });
    for (std::int64_t i = worker.rank(); i < size; i += worker.size()) {
      history[held * size + i] = problem.coefficients[i];
      history[(kLassoHistory + held) * size + i] = problem.gradient[i];
    }
    if (++held == kLassoHistory) {
      const double before = problem.residual;
      problem.residual = lasso_extrapolate(problem, history, before, worker);
      if (problem.residual != before) all_are_candidates();  // those screened out may be nonzero again
      held = 0;
      const int used = worker.of_first([&] { return lasso_used(problem, count); });
      budget += kLassoHistory * lasso_pass_cost(used, size);
      if (used <= problem.most) budget = lasso_steps(problem, used, budget, history, worker);
    }
    for (int c = 0; c < count; ++c) {
      const std::int32_t j = problem.candidates[c];
      const double old = problem.coefficients[j];
      const double best = lasso_best(problem.gradient[j], diagonal[j], old, problem.alpha);
      if (best != old) problem.residual = lasso_move(problem, j, best, problem.residual, worker);
    }
  }
}

}  // namespace diptych::core::DIPTYCH_ISA
