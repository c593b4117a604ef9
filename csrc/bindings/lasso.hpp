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


template <class F>
void bind_lasso(py::module_& m, cpu::Operations::Lasso<F> cpu::Operations::*op,
                cpu::Operations::LassoSmall<F> cpu::Operations::*small) {
  m.def("lasso", [op](const Dense<F>& gram, const Dense<std::int64_t>& gram_starts,
                      const Dense<std::int64_t>& starts, const Dense<double>& alpha,
                      const Dense<double>& tolerance, const Dense<double>& residual, Dense<double>& gradient,
                      Dense<double>& coefficients, Dense<std::int32_t>& passes, int max_passes, int threads) {
    const auto problems = passes.size();
    demand(gram_starts.size() == problems && starts.size() == problems + 1 && alpha.size() == problems &&
               tolerance.size() == problems && residual.size() == problems,
           "gram_starts, starts, alpha, tolerance, residual, passes: numbers of problems differ");
    const std::int64_t *g = gram_starts.data(), *s = starts.data();
    for (py::ssize_t i = 0; i < problems; ++i) {
      const std::int64_t size = s[i + 1] - s[i];
      demand(s[i] >= 0 && size >= 0 && size <= INT32_MAX && s[i + 1] <= gradient.size() &&
                 s[i + 1] <= coefficients.size() && g[i] >= 0 && g[i] + size * size <= gram.size(),
             "starts, gram_starts: outside gram, gradient or coefficients");
    }
    const F* matrix = gram.data();
    const double *a = alpha.data(), *limit = tolerance.data(), *r = residual.data();
    double *slope = gradient.mutable_data(), *w = coefficients.mutable_data();
    std::int32_t* done = passes.mutable_data();
    py::gil_scoped_release release;
    (cpu::operations().*op)(matrix, g, s, problems, a, limit, r, slope, w, done, max_passes,
                            cpu::usable_threads(threads));
  }, py::arg("gram").noconvert(), py::arg("gram_starts").noconvert(), py::arg("starts").noconvert(),
     py::arg("alpha").noconvert(), py::arg("tolerance").noconvert(), py::arg("residual").noconvert(),
     py::arg("gradient").noconvert(), py::arg("coefficients").noconvert(), py::arg("passes").noconvert(),
     py::arg("max_passes"), py::arg("threads"));
  m.def("lasso_small", [small](const Dense<F>& x, const Dense<double>& y, const Dense<double>& alpha,
                               const std::vector<std::int64_t>& starts,
                               const std::optional<Dense<std::int64_t>>& order, double tolerance,
                               int max_passes, Dense<F>& coefficients, Dense<double>& gaps,
                               Dense<std::int32_t>& passes) {
    const auto n = x.shape(0), p = x.shape(1), t = y.shape(1);
    const auto models = static_cast<py::ssize_t>(starts.size()) - 1;
    demand(y.shape(0) == n && alpha.size() == t, "x, y, alpha: sizes differ");
    demand(coefficients.size() == models * p * t && gaps.size() == models * t && passes.size() == models * t,
           "coefficients, gaps, passes: sizes differ from (models, p, t) and (models, t)");
    if (order) {
      demand(order->size() == n, "order: expected (n,)");
      for (py::ssize_t i = 0; i < n; ++i)
        demand(order->data()[i] >= 0 && order->data()[i] < n, "order: items past the last");
    }
    const F* features = x.data();
    const double *targets = y.data(), *a = alpha.data();
    const std::int64_t* sorted = order ? order->data() : nullptr;
    F* w = coefficients.mutable_data();
    double* gap = gaps.mutable_data();
    std::int32_t* done = passes.mutable_data();
    py::gil_scoped_release release;
    return (cpu::operations().*small)(features, targets, sorted, starts.data(), models, n, p, t, a, tolerance,
                                      max_passes, w, gap, done);
  }, py::arg("x").noconvert(), py::arg("y").noconvert(), py::arg("alpha").noconvert(), py::arg("starts"),
     py::arg("order").noconvert().none(true), py::arg("tolerance"), py::arg("max_passes"),
     py::arg("coefficients").noconvert(), py::arg("gaps").noconvert(), py::arg("passes").noconvert());
}

}  // namespace diptych::bindings
