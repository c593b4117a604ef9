// One lasso problem in covariance form, who works on it, and its duality gap.
#pragma once

#include <cstdint>

#include "macros.hpp"

namespace diptych::core::DIPTYCH_ISA {

// Who works on a problem. On the host one thread does; on the device a block shares the vectors out.
struct OneWorker {
  DIPTYCH_HD static constexpr int rank() { return 0; }
  DIPTYCH_HD static constexpr int size() { return 1; }
  DIPTYCH_HD static void wait() {}
  DIPTYCH_HD static double sum(double value) { return value; }
  DIPTYCH_HD static double largest(double value) { return value; }
  template <class Task>
  DIPTYCH_HD static int of_first(const Task& task) { return task(); }
};

// min |y - Xw|^2 / 2n + alpha |w|_1, seen through gram = X'X/n, gradient = X'(y - Xw)/n and
// residual = |y - Xw|^2 / n.
template <class F>
struct LassoProblem {
  const F* gram;             // (size, size)
  std::int64_t size;         // features
  double alpha;              // above 0
  double tolerance;          // the duality gap to reach
  double residual;           // at the coefficients given
  double* gradient;          // (size,), kept in step with the coefficients
  double* coefficients;      // (size,), the start and the solution
  double* scratch;           // (kLassoScratch, size), the first row for the Gram matrix's diagonal
  std::int32_t* candidates;  // (size,), scratch: the features not screened out
  double* support;           // (lasso_support_numbers(most),), scratch for Newton steps
  int most;                  // nonzero coefficients up to which they are made
};

struct LassoGap {
  double gap;    // primal minus dual objective
  double scale;  // the dual point is this times the residuals
};

// The residuals r, scaled down until their products with the features, of which `peak` is the largest, stay
// within alpha, are dual feasible; the dual objective is scale <r,y>/n - scale^2 |r|^2/2n (Massias, Gramfort &
// Salmon 2018, eq. 4-5). fit = <r,Xw>/n, and <r,y> = |r|^2 + <r,Xw>.
DIPTYCH_HD inline LassoGap lasso_gap(double residual, double fit, double l1, double peak, double alpha) {
  const double scale = peak > alpha ? alpha / peak : 1;
  return {residual / 2 + alpha * l1 - scale * (residual + fit - scale * residual / 2), scale};
}

template <class F, class Worker>
DIPTYCH_HD inline LassoGap lasso_gap(const LassoProblem<F>& problem, double residual, const Worker& worker) {
  double fit = 0, l1 = 0, peak = 0;
  for (std::int64_t i = worker.rank(); i < problem.size; i += worker.size()) {
    const double g = problem.gradient[i], w = problem.coefficients[i], size = g < 0 ? -g : g;
    fit += g * w;
    l1 += w < 0 ? -w : w;
    peak = size > peak ? size : peak;
  }
  return lasso_gap(residual, worker.sum(fit), worker.sum(l1), worker.largest(peak), problem.alpha);
}

// Sets coefficient j to `value`; every worker must call this with the same value. Returns the residual.
template <class F, class Worker>
DIPTYCH_HD inline double lasso_move(const LassoProblem<F>& problem, std::int64_t j, double value,
                                    double residual, const Worker& worker) {
  const double step = value - problem.coefficients[j];
  residual -= step * (2 * problem.gradient[j] - step * problem.scratch[j]);
  worker.wait();  // all have read what now changes
  if (worker.rank() == 0) problem.coefficients[j] = value;
  const F* row = problem.gram + j * problem.size;
  double* gradient = problem.gradient;
  for (std::int64_t i = worker.rank(); i < problem.size; i += worker.size())
    gradient[i] -= step * static_cast<double>(row[i]);
  worker.wait();
  return residual > 0 ? residual : 0;
}

}  // namespace diptych::core::DIPTYCH_ISA
