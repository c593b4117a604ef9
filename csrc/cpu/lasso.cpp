#include "../core/lasso_descent.hpp"

#include <algorithm>
#include <cstdlib>
#include <new>

#include "kernels.hpp"

namespace diptych::cpu::DIPTYCH_ISA {

using namespace core::DIPTYCH_ISA;

namespace {

// Where the features in use are fewer than this share of all, a copy of their part of the Gram matrix pays.
constexpr double kFew = 0.7;

// A problem's own memory: for the problem itself and for the one on the features in use.
template <class F>
struct Scratch {
  double *whole, *part, *gradient, *coefficients, *support;
  F* gram;
  std::int32_t *candidates, *part_candidates, *used;
  int most;

  static std::size_t bytes(std::size_t size) {
    const auto numbers = size * (2 * kLassoScratch + 2) + lasso_support_numbers(lasso_most_used(size));
    return numbers * sizeof(double) + size * size * sizeof(F) + size * 3 * sizeof(std::int32_t) + 64;
  }

  Scratch(char* memory, std::int64_t size) {
    whole = reinterpret_cast<double*>(memory);
    part = whole + kLassoScratch * size;
    gradient = part + kLassoScratch * size;
    coefficients = gradient + size;
    support = coefficients + size;
    most = lasso_most_used(size);
    gram = reinterpret_cast<F*>(support + lasso_support_numbers(most));
    candidates = reinterpret_cast<std::int32_t*>(gram + size * size);
    part_candidates = candidates + size;
    used = part_candidates + size;
  }
};

// The problem on the features used[0..count), in scratch.
template <class F>
LassoProblem<F> restrict_to(const LassoProblem<F>& problem, std::int64_t count, const Scratch<F>& scratch) {
  for (std::int64_t a = 0; a < count; ++a) {
    const std::int64_t j = scratch.used[a];
    scratch.gradient[a] = problem.gradient[j];
    scratch.coefficients[a] = problem.coefficients[j];
    for (std::int64_t b = 0; b < count; ++b)
      scratch.gram[a * count + b] = problem.gram[j * problem.size + scratch.used[b]];
  }
  return {scratch.gram,     count,        problem.alpha,           problem.tolerance / 2,
          problem.residual, scratch.gradient, scratch.coefficients, scratch.part,
          scratch.part_candidates, scratch.support, scratch.most};
}

// solve_lasso by way of the features in use: those that are nonzero or violate optimality.
template <class F>
int solve(LassoProblem<F>& problem, int passes, int max_passes, const Scratch<F>& scratch) {
  const OneWorker worker;
  for (;;) {
    const LassoGap at = lasso_gap(problem, problem.residual, worker);
    if (!(at.gap > problem.tolerance) || passes >= max_passes) return passes;
    std::int64_t count = 0;
    for (std::int64_t j = 0; j < problem.size; ++j) {
      const double g = problem.gradient[j];
      if (problem.coefficients[j] != 0 || g > problem.alpha || g < -problem.alpha)
        scratch.used[count++] = static_cast<std::int32_t>(j);
    }
    if (count > kFew * problem.size) return solve_lasso(problem, passes, max_passes, worker);
    LassoProblem<F> part = restrict_to(problem, count, scratch);
    part.tolerance = std::max(part.tolerance, 0.1 * at.gap);
    const int before = passes;
    passes = solve_lasso(part, passes, max_passes, worker);
    if (passes == before) return solve_lasso(problem, passes, max_passes, worker);
    problem.residual = part.residual;
    for (std::int64_t a = 0; a < count; ++a) {
      const std::int64_t j = scratch.used[a];
      const double step = scratch.coefficients[a] - problem.coefficients[j];
      if (step == 0) continue;
      problem.coefficients[j] = scratch.coefficients[a];
      const F* row = problem.gram + j * problem.size;
      for (std::int64_t i = 0; i < problem.size; ++i) problem.gradient[i] -= step * static_cast<double>(row[i]);
    }
  }
}

}  // namespace

template <class F>
void lasso(const F* const* gram, const std::int64_t* starts, std::int64_t problems, const double* alpha,
           const double* tolerance, const double* residual, double* gradient, double* coefficients,
           std::int32_t* passes, int max_passes, int threads) {
  std::int64_t largest = 0;
  for (std::int64_t i = 0; i < problems; ++i) largest = std::max(largest, starts[i + 1] - starts[i]);
  const std::size_t each = Scratch<F>::bytes(static_cast<std::size_t>(largest)) / 64 * 64;
  auto* memory = static_cast<char*>(std::malloc(each * threads));
  if (memory == nullptr) throw std::bad_alloc();
#pragma omp parallel for num_threads(threads) schedule(dynamic, 1)
  for (std::int64_t i = 0; i < problems; ++i) {
    const Scratch<F> scratch(memory + each * thread_index(), largest);
    LassoProblem<F> problem = {gram[i],
                               starts[i + 1] - starts[i],
                               alpha[i],
                               tolerance[i],
                               residual[i],
                               gradient + starts[i],
                               coefficients + starts[i],
                               scratch.whole,
                               scratch.candidates,
                               scratch.support,
                               scratch.most};
    passes[i] = solve(problem, passes[i], max_passes, scratch);
  }
  std::free(memory);
}

template <class F>
void gather_columns(const F* x, const std::int64_t* order, std::int64_t n, std::int64_t p,
                    const std::int64_t* columns, std::int64_t count, F* out, int threads) {
#pragma omp parallel for num_threads(threads) schedule(static)
  for (std::int64_t i = 0; i < n; ++i) {
    const F* row = x + (order == nullptr ? i : order[i]) * p;
    for (std::int64_t j = 0; j < count; ++j) out[i * count + j] = row[columns[j]];
  }
}

template void lasso(const float* const*, const std::int64_t*, std::int64_t, const double*, const double*,
                    const double*, double*, double*, std::int32_t*, int, int);
template void lasso(const double* const*, const std::int64_t*, std::int64_t, const double*, const double*,
                    const double*, double*, double*, std::int32_t*, int, int);
template void gather_columns(const float*, const std::int64_t*, std::int64_t, std::int64_t, const std::int64_t*,
                             std::int64_t, float*, int);
template void gather_columns(const double*, const std::int64_t*, std::int64_t, std::int64_t,
                             const std::int64_t*, std::int64_t, double*, int);

}  // namespace diptych::cpu::DIPTYCH_ISA
