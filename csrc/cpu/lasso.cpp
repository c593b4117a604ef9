#include "../core/lasso_problem.hpp"

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
  double *whole, *part, *gradient, *coefficients;
  F* gram;
  std::int32_t *candidates, *part_candidates, *used;

  static std::size_t bytes(std::size_t size) {
    return size * (2 * kLassoScratch + 2) * sizeof(double) + size * size * sizeof(F) +
           size * 3 * sizeof(std::int32_t) + 64;
  }

  Scratch(char* memory, std::int64_t size) {
    whole = reinterpret_cast<double*>(memory);
    part = whole + kLassoScratch * size;
    gradient = part + kLassoScratch * size;
    coefficients = gradient + size;
    gram = reinterpret_cast<F*>(coefficients + size);
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
          scratch.part_candidates};
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
                               scratch.candidates};
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

namespace {

// Adds x (p,) to each row j of sums (rows, p), factor[j] times.
inline void add_outer(const double* factor, std::int64_t rows, const double* x, std::int64_t p, double* sums) {
  for (std::int64_t j = 0; j < rows; ++j)
    for (std::int64_t i = 0; i < p; ++i) sums[j * p + i] += factor[j] * x[i];
}

// The items one model is trained on: all but order[begin..end), or but begin..end where order is null.
struct TrainingItems {
  const std::int64_t* order;
  std::int64_t n, begin, end;

  double count() const { return static_cast<double>(n - (end - begin)); }

  template <class Task>
  void each(const Task& task) const {
    for (std::int64_t place = 0; place < n; ++place)
      if (place < begin || place >= end) task(order == nullptr ? place : order[place]);
  }
};

}  // namespace

template <class F>
std::int64_t lasso_small(const F* x, const double* y, const std::int64_t* order, const std::int64_t* starts,
                         std::int64_t models, std::int64_t n, std::int64_t p, std::int64_t t,
                         const double* alpha, double tolerance, int max_passes, F* coefficients, double* gaps,
                         std::int32_t* passes) {
  const std::size_t doubles = static_cast<std::size_t>(p) * (p + t + 4 + kLassoScratch) + t;
  auto* gram = static_cast<double*>(std::malloc(sizeof(double) * doubles));
  if (gram == nullptr) throw std::bad_alloc();
  double *products = gram + p * p, *powers = products + t * p, *row = powers + t, *gradient = row + p,
         *w = gradient + p, *scratch = w + p;
  std::int64_t missed = 0;
  for (std::int64_t model = 0; model < models; ++model) {
    const TrainingItems items = {order, n, starts[model], starts[model + 1]};
    const auto widen = [&](std::int64_t item) {
      for (std::int64_t i = 0; i < p; ++i) row[i] = static_cast<double>(x[item * p + i]);
    };
    std::fill(gram, row, 0.0);
    items.each([&](std::int64_t item) {
      widen(item);
      add_outer(row, p, row, p, gram);
      add_outer(y + item * t, t, row, p, products);
      for (std::int64_t j = 0; j < t; ++j) powers[j] += y[item * t + j] * y[item * t + j];
    });
    for (double* sum = gram; sum < row; ++sum) *sum /= items.count();
    for (std::int64_t j = 0; j < t; ++j) {
      const double limit = tolerance * powers[j];
      std::copy_n(products + j * p, p, gradient);
      std::fill_n(w, p, 0.0);
      auto* candidates = reinterpret_cast<std::int32_t*>(scratch + kLassoScratch * p);
      LassoProblem<double> problem = {gram,     p, alpha[j], limit / 2, powers[j],
                                      gradient, w, scratch,  candidates};
      int done = 0;
      double gap = 0;
      // The gap of the Gram matrix is off by rounding: what counts is that of the rounded solution, from x.
      for (int attempt = 0; attempt < 4; ++attempt, problem.tolerance /= 10) {
        done = solve_lasso(problem, done, max_passes, OneWorker());
        for (std::int64_t i = 0; i < p; ++i) w[i] = static_cast<double>(static_cast<F>(w[i]));
        std::fill_n(gradient, p, 0.0);
        problem.residual = 0;
        items.each([&](std::int64_t item) {
          widen(item);
          double residual = y[item * t + j];
          for (std::int64_t i = 0; i < p; ++i) residual -= row[i] * w[i];
          problem.residual += residual * residual;
          add_outer(&residual, 1, row, p, gradient);
        });
        problem.residual /= items.count();
        for (std::int64_t i = 0; i < p; ++i) gradient[i] /= items.count();
        gap = lasso_gap(problem, problem.residual, OneWorker()).gap;
        if (!(gap > limit) || done >= max_passes) break;
      }
      missed += gap > limit;
      gaps[model * t + j] = gap > 0 ? gap : 0;
      passes[model * t + j] = done;
      for (std::int64_t i = 0; i < p; ++i) coefficients[(model * p + i) * t + j] = static_cast<F>(w[i]);
    }
  }
  std::free(gram);
  return missed;
}

template void lasso(const float* const*, const std::int64_t*, std::int64_t, const double*, const double*,
                    const double*, double*, double*, std::int32_t*, int, int);
template void lasso(const double* const*, const std::int64_t*, std::int64_t, const double*, const double*,
                    const double*, double*, double*, std::int32_t*, int, int);
template void gather_columns(const float*, const std::int64_t*, std::int64_t, std::int64_t, const std::int64_t*,
                             std::int64_t, float*, int);
template void gather_columns(const double*, const std::int64_t*, std::int64_t, std::int64_t,
                             const std::int64_t*, std::int64_t, double*, int);
template std::int64_t lasso_small(const float*, const double*, const std::int64_t*, const std::int64_t*,
                                  std::int64_t, std::int64_t, std::int64_t, std::int64_t, const double*, double,
                                  int, float*, double*, std::int32_t*);
template std::int64_t lasso_small(const double*, const double*, const std::int64_t*, const std::int64_t*,
                                  std::int64_t, std::int64_t, std::int64_t, std::int64_t, const double*, double,
                                  int, double*, double*, std::int32_t*);

}  // namespace diptych::cpu::DIPTYCH_ISA
