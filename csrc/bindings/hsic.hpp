// Centring and small linear HSICs for diptych._cpu; included by bindings_cpu.cpp alone.
#pragma once

#include <pybind11/numpy.h>

#include <stdexcept>

#include "../cpu/dispatch.hpp"

namespace diptych::bindings {

namespace py = pybind11;

template <class F>
void bind_hsic(py::module_& m, cpu::Operations::Center<F> cpu::Operations::*center,
               cpu::Operations::LinearHsics<F> cpu::Operations::*hsics) {
  using Array = py::array_t<F, py::array::c_style>;
  m.def("center", [center](const Array& x, Array& out, int threads) {
    if (x.ndim() != 2 || out.ndim() != 2 || x.shape(0) != out.shape(0) || x.shape(1) != out.shape(1) ||
        x.size() == 0)
      throw std::invalid_argument("x, out: expected (n, d) both");
    const F* p = x.data();
    F *o = out.mutable_data(), spread;
    const auto n = x.shape(0), d = x.shape(1);
    {
      py::gil_scoped_release release;
      (cpu::operations().*center)(p, n, d, o, &spread, cpu::usable_threads(threads));
    }
    return static_cast<double>(spread);
  }, py::arg("x").noconvert(), py::arg("out").noconvert(), py::arg("threads"));
  m.def("linear_hsics", [hsics](const Array& x, const Array& y, bool debiased,
                                py::array_t<double, py::array::c_style>& out) {
    if (x.ndim() != 2 || y.ndim() != 2 || x.shape(0) != y.shape(0) || out.size() != 5)
      throw std::invalid_argument("x, y, out: expected (n, d_x), (n, d_y), (5,)");
    const F *values_x = x.data(), *values_y = y.data();
    double* o = out.mutable_data();
    const auto n = x.shape(0), d_x = x.shape(1), d_y = y.shape(1);
    py::gil_scoped_release release;
    (cpu::operations().*hsics)(values_x, d_x, values_y, d_y, n, debiased, o);
  }, py::arg("x").noconvert(), py::arg("y").noconvert(), py::arg("debiased"), py::arg("out").noconvert());
}

}  // namespace diptych::bindings
