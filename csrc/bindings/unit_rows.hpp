// Bindings of what ops ask of items before they compute: their size, and their rows at unit length.
#pragma once

#include <cstdint>

#include "arrays.hpp"

namespace diptych::bindings {

template <class F>
void bind_peak(py::module_& m, cpu::Operations::Peak<F> cpu::Operations::*op) {
  m.def("peak", [op](const Dense<F>& x, int threads) {
    const F* entries = x.data();
    const auto count = x.size();
    py::gil_scoped_release release;
    return (cpu::operations().*op)(entries, count, cpu::usable_threads(threads));
  }, py::arg("x").noconvert(), py::arg("threads"));
}

template <class F>
void bind_first_zero_row(py::module_& m, cpu::Operations::FirstZeroRow<F> cpu::Operations::*op) {
  m.def("first_zero_row", [op](const Dense<F>& x) {
    const F* items = x.data();
    const auto n = x.shape(0), d = x.shape(1);
    py::gil_scoped_release release;
    return (cpu::operations().*op)(items, n, d);
  }, py::arg("x").noconvert());
}

template <class E, class F>
void bind_unit_rows_of(py::module_& m, cpu::Operations::UnitRows<E, F> cpu::Operations::*op) {
  m.def("unit_rows", [op](const Dense<E>& x, Dense<F>& out, int threads) {
    const auto n = x.shape(0), d = x.shape(1);
    demand(out.shape(0) == n && out.shape(1) == d, "x, out: shapes differ");
    const E* items = x.data();
    F* o = out.mutable_data();
    py::gil_scoped_release release;
    (cpu::operations().*op)(items, n, d, o, cpu::usable_threads(threads));
  }, py::arg("x").noconvert(), py::arg("out").noconvert(), py::arg("threads"));
}

inline void bind_unit_rows(py::module_& m) {
  using cpu::Operations;
  bind_peak<float>(m, &Operations::peak_f32);
  bind_peak<double>(m, &Operations::peak_f64);
  bind_first_zero_row<float>(m, &Operations::first_zero_row_f32);
  bind_first_zero_row<double>(m, &Operations::first_zero_row_f64);
  bind_unit_rows_of<float, float>(m, &Operations::unit_rows_f32);
  bind_unit_rows_of<float, double>(m, &Operations::unit_rows_f32_f64);
  bind_unit_rows_of<double, double>(m, &Operations::unit_rows_f64);
}

}  // namespace diptych::bindings
