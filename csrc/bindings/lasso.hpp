// Bindings of the lasso; included by bindings_cpu.cpp alone.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <stdexcept>
#include <optional>
#include <vector>

#include "../cpu/dispatch.hpp"
#include "arrays.hpp"

namespace diptych::bindings {


using Order = std::optional<Dense<std::int64_t>>;

// The order's numbers, all checked to be below n, or null.
inline const std::int64_t* checked(const Order& order, py::ssize_t n) {
  if (!order) return nullptr;
  demand(order->size() == n, "order: expected (n,)");
  const std::int64_t* items = order->data();
  for (py::ssize_t i = 0; i < n; ++i) demand(items[i] >= 0 && items[i] < n, "order: items past the last");
  return items;
}

template <class F>
void bind_gather_columns(py::module_& m, cpu::Operations::GatherColumns<F> cpu::Operations::*op) {
  m.def("gather_columns", [op](const Dense<F>& x, const Order& order, const Dense<std::int64_t>& columns,
                               Dense<F>& out, int threads) {
    const auto n = x.shape(0), p = x.shape(1), count = columns.size();
    demand(out.shape(0) == n && out.shape(1) == count, "out: expected (n, count)");
    const std::int64_t *sorted = checked(order, n), *chosen = columns.data();
    for (py::ssize_t j = 0; j < count; ++j)
      demand(chosen[j] >= 0 && chosen[j] < p, "columns: past the last");
    const F* from = x.data();
    F* to = out.mutable_data();
    py::gil_scoped_release release;
    (cpu::operations().*op)(from, sorted, n, p, chosen, count, to, cpu::usable_threads(threads));
  }, py::arg("x").noconvert(), py::arg("order").noconvert().none(true), py::arg("columns").noconvert(),
     py::arg("out").noconvert(), py::arg("threads"));
}

// The array's numbers as double: its own, or those put into `memory`.
inline const double* widen(const py::array& array, std::vector<double>& memory) {
  if (py::isinstance<Dense<double>>(array)) return static_cast<const double*>(array.data());
  demand(py::isinstance<Dense<float>>(array), "expected a contiguous array, float32 or float64");
  const auto* numbers = static_cast<const float*>(array.data());
  memory.assign(numbers, numbers + array.size());
  return memory.data();
}

template <class F>
void bind_lasso(py::module_& m, cpu::Operations::Lasso<F> cpu::Operations::*op,
                cpu::Operations::LassoSmall<F> cpu::Operations::*small) {
  m.def("lasso", [op](const std::vector<Dense<F>>& grams, const Dense<std::int64_t>& models,
                      const Dense<std::int64_t>& starts, const Dense<double>& alpha,
                      const Dense<double>& tolerance, const Dense<double>& residual, Dense<double>& gradient,
                      Dense<double>& coefficients, Dense<std::int32_t>& passes, int max_passes, int threads) {
    const auto problems = passes.size();
    demand(models.shape(0) == problems && models.shape(1) == 2 && starts.size() == problems + 1 &&
               alpha.size() == problems && tolerance.size() == problems && residual.size() == problems,
           "models, starts, alpha, tolerance, residual, passes: numbers of problems differ");
    const std::int64_t* s = starts.data();
    std::vector<const F*> gram_of(problems);
    for (py::ssize_t i = 0; i < problems; ++i) {
      const std::int64_t size = s[i + 1] - s[i], group = *models.data(i, 0), model = *models.data(i, 1);
      demand(s[i] >= 0 && size >= 0 && size <= INT32_MAX && s[i + 1] <= gradient.size() &&
                 s[i + 1] <= coefficients.size(),
             "starts: outside gradient or coefficients");
      demand(group >= 0 && group < static_cast<std::int64_t>(grams.size()) && grams[group].ndim() == 3 &&
                 model >= 0 && model < grams[group].shape(0) && grams[group].shape(1) == size &&
                 grams[group].shape(2) == size,
             "models: no such Gram matrix");
      gram_of[i] = grams[group].data() + model * size * size;
    }
    const double *a = alpha.data(), *limit = tolerance.data(), *r = residual.data();
    double *slope = gradient.mutable_data(), *w = coefficients.mutable_data();
    std::int32_t* done = passes.mutable_data();
    py::gil_scoped_release release;
    (cpu::operations().*op)(gram_of.data(), s, problems, a, limit, r, slope, w, done, max_passes,
                            cpu::usable_threads(threads));
  }, py::arg("grams"), py::arg("models").noconvert(), py::arg("starts").noconvert(),
     py::arg("alpha").noconvert(), py::arg("tolerance").noconvert(), py::arg("residual").noconvert(),
     py::arg("gradient").noconvert(), py::arg("coefficients").noconvert(), py::arg("passes").noconvert(),
     py::arg("max_passes"), py::arg("threads"));
  m.def("lasso_small", [small](const Dense<F>& x, const py::array& y, const Dense<double>& alpha,
                               const std::vector<std::int64_t>& starts,
                               const Order& order, double tolerance,
                               int max_passes, bool check, Dense<F>& coefficients, Dense<double>& gaps,
                               Dense<std::int32_t>& passes) {
    demand(y.ndim() == 2, "y: expected (n, t)");
    const auto n = x.shape(0), p = x.shape(1), t = y.shape(1);
    const auto models = static_cast<py::ssize_t>(starts.size()) - 1;
    demand(y.shape(0) == n && (alpha.size() == t || alpha.size() == 1), "x, y, alpha: sizes differ");
    demand(coefficients.size() == models * p * t && gaps.size() == models * t && passes.size() == models * t,
           "coefficients, gaps, passes: sizes differ from (models, p, t) and (models, t)");
    const F* features = x.data();
    std::vector<double> widened;
    const double *targets = widen(y, widened), *a = alpha.data();
    const int alpha_step = alpha.size() == 1 ? 0 : 1;
    const std::int64_t* sorted = checked(order, n);
    F* w = coefficients.mutable_data();
    double* gap = gaps.mutable_data();
    std::int32_t* done = passes.mutable_data();
    py::gil_scoped_release release;
    return (cpu::operations().*small)(features, targets, sorted, starts.data(), models, n, p, t, a,
                                      alpha_step, tolerance, max_passes, check, w, gap, done);
  }, py::arg("x").noconvert(), py::arg("y").noconvert(), py::arg("alpha").noconvert(), py::arg("starts"),
     py::arg("order").noconvert().none(true), py::arg("tolerance"), py::arg("max_passes"), py::arg("check"),
     py::arg("coefficients").noconvert(), py::arg("gaps").noconvert(), py::arg("passes").noconvert());
}

}  // namespace diptych::bindings
