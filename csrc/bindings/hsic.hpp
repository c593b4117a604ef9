// Centring and small linear HSICs for diptych._cpu; included by bindings_cpu.cpp alone.
#pragma once

#include "arrays.hpp"

namespace diptych::bindings {

template <class F>
void bind_hsic(py::module_& m, cpu::Operations::Center<F> cpu::Operations::*center,
               cpu::Operations::LinearHsics<F> cpu::Operations::*hsics) {
  m.def("center", [center](const Dense<F>& x, bool per_column, Dense<F>& out, Dense<double>& squares,
                           int threads) {
    demand(x.ndim() == 2 && x.size() > 0 && out.ndim() == 2 && out.shape(0) == x.shape(0) &&
               out.shape(1) == x.shape(1) && squares.size() == x.shape(1),
           "x, out, squares: expected (n, d), (n, d), (d,)");
    const F* p = x.data();
    F *o = out.mutable_data(), spread;
    double* s = squares.mutable_data();
    const auto n = x.shape(0), d = x.shape(1);
    {
      py::gil_scoped_release release;
      (cpu::operations().*center)(p, n, d, per_column, o, &spread, s, cpu::usable_threads(threads));
    }
    return static_cast<double>(spread);
  }, py::arg("x").noconvert(), py::arg("per_column"), py::arg("out").noconvert(),
     py::arg("squares").noconvert(), py::arg("threads"));
  // Numbers, not an array: an array would cost more than they do.
  m.def("linear_hsics", [hsics](const Dense<F>& x, const Dense<F>& y, bool debiased) {
    demand(x.ndim() == 2 && y.ndim() == 2 && x.shape(0) == y.shape(0), "x, y: expected (n, d_x), (n, d_y)");
    const F *values_x = x.data(), *values_y = y.data();
    const auto n = x.shape(0), d_x = x.shape(1), d_y = y.shape(1);
    double out[6];
    {
      py::gil_scoped_release release;
      (cpu::operations().*hsics)(values_x, d_x, values_y, d_y, n, debiased, out);
    }
    return py::make_tuple(out[0], out[1], out[2], out[3], out[4], out[5]);
  }, py::arg("x").noconvert(), py::arg("y").noconvert(), py::arg("debiased"));
}

}  // namespace diptych::bindings
