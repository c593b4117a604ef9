#include "../core/lasso_descent.hpp"

#include <algorithm>

#include "buffer.hpp"
#include "kernels.hpp"

namespace diptych::cpu::DIPTYCH_ISA {

using namespace core::DIPTYCH_ISA;

namespace {

// Adds x (p,) to each row j of sums (rows, p), factor[j] times.
inline void add_outer(const double* factor, std::int64_t rows, const double* x, std::int64_t p, double* sums) {
  for (std::int64_t j = 0; j < rows; ++j)
    for (std::int64_t i = 0; i < p; ++i) sums[j * p + i] += factor[j] * x[i];
}

// Whether none is NaN or Inf.
template <class T>
bool all_finite(const T* values, std::int64_t count) {
  int others = 0;
  for (std::int64_t i = 0; i < count; ++i) others |= !(values[i] * 0 == 0);
  return others == 0;
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

template <class F>
struct SmallData {
  const F* x;       // (n, p)
  const double* y;  // (n, t)
  std::int64_t p, t;

  void widen(std::int64_t item, double* row) const {
    for (std::int64_t i = 0; i < p; ++i) row[i] = static_cast<double>(x[item * p + i]);
  }
};

// One model's means over its items, and what the problem of one target needs. One stretch of memory.
struct SmallModel {
  double *gram, *products, *powers;  // (p, p), (t, p), (t,)
  double *row, *gradient, *w, *scratch, *support;
  std::int32_t* candidates;

  static std::size_t numbers(std::int64_t p, std::int64_t t) {
    return static_cast<std::size_t>(p * (p + t + 4 + kLassoScratch) + t +
                                    lasso_support_numbers(lasso_most_used(p)));
  }

  SmallModel(double* memory, std::int64_t p, std::int64_t t) {
    gram = memory;
    products = gram + p * p;
    powers = products + t * p;
    row = powers + t;
    gradient = row + p;
    w = gradient + p;
    scratch = w + p;
    support = scratch + kLassoScratch * p;
    candidates = reinterpret_cast<std::int32_t*>(support + lasso_support_numbers(lasso_most_used(p)));
  }
};

template <class F>
void fill(const SmallModel& model, const SmallData<F>& data, const TrainingItems& items) {
  std::fill(model.gram, model.row, 0.0);
  items.each([&](std::int64_t item) {
    const double* y = data.y + item * data.t;
    data.widen(item, model.row);
    add_outer(model.row, data.p, model.row, data.p, model.gram);
    add_outer(y, data.t, model.row, data.p, model.products);
    for (std::int64_t j = 0; j < data.t; ++j) model.powers[j] += y[j] * y[j];
  });
  for (double* sum = model.gram; sum < model.row; ++sum) *sum /= items.count();
}

// Residual and gradient at the problem's coefficients, from x; returns the gap.
template <class F>
double refresh(LassoProblem<double>& problem, const SmallModel& model, const SmallData<F>& data,
               const TrainingItems& items, std::int64_t target) {
  const std::int64_t p = data.p;
  std::fill_n(model.gradient, p, 0.0);
  problem.residual = 0;
  items.each([&](std::int64_t item) {
    data.widen(item, model.row);
    double residual = data.y[item * data.t + target];
    for (std::int64_t i = 0; i < p; ++i) residual -= model.row[i] * model.w[i];
    problem.residual += residual * residual;
    add_outer(&residual, 1, model.row, p, model.gradient);
  });
  problem.residual /= items.count();
  for (std::int64_t i = 0; i < p; ++i) model.gradient[i] /= items.count();
  return lasso_gap(problem, problem.residual, OneWorker()).gap;
}

// Leaves the solution in model.w and returns its gap.
template <class F>
double solve_target(const SmallModel& model, const SmallData<F>& data, const TrainingItems& items,
                    std::int64_t target, double alpha, double limit, int max_passes, int& passes) {
  const std::int64_t p = data.p;
  std::copy_n(model.products + target * p, p, model.gradient);
  std::fill_n(model.w, p, 0.0);
  LassoProblem<double> problem = {model.gram,       p,
                                  alpha,            limit / 2,
                                  model.powers[target], model.gradient,
                                  model.w,          model.scratch,
                                  model.candidates, model.support,
                                  lasso_most_used(p)};
  passes = 0;
  // The gap of the Gram matrix is off by rounding: what counts is that of the rounded solution, from x.
  for (int attempt = 0;; ++attempt, problem.tolerance /= 10) {
    passes = solve_lasso(problem, passes, max_passes, OneWorker());
    for (std::int64_t i = 0; i < p; ++i) model.w[i] = static_cast<double>(static_cast<F>(model.w[i]));
    const double gap = refresh(problem, model, data, items, target);
    if (!(gap > limit) || passes >= max_passes || attempt == 3) return gap;
  }
}

}  // namespace

template <class F>
std::int64_t lasso_small(const F* x, const double* y, const std::int64_t* order, const std::int64_t* starts,
                         std::int64_t models, std::int64_t n, std::int64_t p, std::int64_t t,
                         const double* alpha, int alpha_step, double tolerance, int max_passes, bool check,
                         F* coefficients, double* gaps, std::int32_t* passes) {
  if (check && !(all_finite(x, n * p) && all_finite(y, n * t))) return -1;
  const Buffer<double> memory(SmallModel::numbers(p, t));
  const SmallModel model(memory.data(), p, t);
  const SmallData<F> data = {x, y, p, t};
  std::int64_t missed = 0;
  for (std::int64_t k = 0; k < models; ++k) {
    const TrainingItems items = {order, n, starts[k], starts[k + 1]};
    fill(model, data, items);
    for (std::int64_t j = 0; j < t; ++j) {
      const double limit = tolerance * model.powers[j];
      int done = 0;
      const double gap = solve_target(model, data, items, j, alpha[j * alpha_step], limit, max_passes, done);
      missed += gap > limit;
      gaps[k * t + j] = gap > 0 ? gap : 0;
      passes[k * t + j] = done;
      for (std::int64_t i = 0; i < p; ++i) coefficients[(k * p + i) * t + j] = static_cast<F>(model.w[i]);
    }
  }
  return missed;
}

template std::int64_t lasso_small(const float*, const double*, const std::int64_t*, const std::int64_t*,
                                  std::int64_t, std::int64_t, std::int64_t, std::int64_t, const double*, int,
                                  double, int, bool, float*, double*, std::int32_t*);
template std::int64_t lasso_small(const double*, const double*, const std::int64_t*, const std::int64_t*,
                                  std::int64_t, std::int64_t, std::int64_t, std::int64_t, const double*, int,
                                  double, int, bool, double*, double*, std::int32_t*);

}  // namespace diptych::cpu::DIPTYCH_ISA
