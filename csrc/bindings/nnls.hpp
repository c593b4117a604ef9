// diptych._cpu.nnls.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <stdexcept>
#include <tuple>
#include <utility>

#include "../cpu/dispatch.hpp"

namespace diptych::bindings {

template <class In, class Out>
void bind_nnls(pybind11::module_& m, cpu::Operations::Nnls<In, Out> cpu::Operations::*op) {
  namespace py = pybind11;
  using Products = py::array_t<In, py::array::c_style>;
  m.def("nnls",
        [op](const py::array_t<double, py::array::c_style>& gram, const Products& products,
             py::array_t<Out, py::array::c_style>& out, int max_pivots, int max_exchanges, int threads) {
          const auto n = out.shape(0), k = out.shape(1);
          if (gram.ndim() != 2 || gram.shape(0) != k || gram.shape(1) != k || k > cpu::kMaxAtoms)
            throw std::invalid_argument("gram: expected (k, k) with k <= MAX_ATOMS");
          if (products.shape(0) != n || products.shape(1) != k)
            throw std::invalid_argument("products: shape differs from out");
          const double* g = gram.data();
          const In* b = products.data();
          Out* u = out.mutable_data();
          std::int64_t report[2];
          {
            py::gil_scoped_release release;
            (cpu::operations().*op)(g, static_cast<int>(k), b, n, max_pivots, max_exchanges, u, report,
                                    cpu::usable_threads(threads));
          }
          return std::make_pair(report[0], report[1]);
        },
        py::arg("gram").noconvert(), py::arg("products").noconvert(), py::arg("out").noconvert(),
        py::arg("max_pivots"), py::arg("max_exchanges"), py::arg("threads"),
        "The first row with NaN or Inf and the first unsolved one, n where there is none.");
}

inline void bind_nnls(pybind11::module_& m) {
  namespace py = pybind11;
  using cpu::Operations;
  m.def("gram_condition", [](const py::array_t<double, py::array::c_style>& gram) {
    const auto k = gram.shape(0);
    if (gram.ndim() != 2 || gram.shape(1) != k || k > cpu::kMaxAtoms)
      throw std::invalid_argument("gram: expected (k, k) with k <= MAX_ATOMS");
    const double* g = gram.data();
    double condition, smallest, largest;
    {
      py::gil_scoped_release release;
      cpu::operations().gram_condition(g, static_cast<int>(k), &condition, &smallest, &largest);
    }
    return std::make_tuple(condition, smallest, largest);
  }, py::arg("gram").noconvert(), "A bound of the condition, the smallest and the largest norm.");
  m.attr("MAX_ATOMS") = cpu::kMaxAtoms;
  bind_nnls<float, float>(m, &Operations::nnls_f32);
  bind_nnls<double, float>(m, &Operations::nnls_f64_f32);
  bind_nnls<double, double>(m, &Operations::nnls_f64);
}

}  // namespace diptych::bindings
