// diptych._cpu.nnls.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <array>
#include <stdexcept>
#include <utility>

#include "../cpu/dispatch.hpp"

namespace diptych::bindings {

template <class F>
void bind_nnls_of(pybind11::module_& m, cpu::Operations::Nnls<F> cpu::Operations::*op) {
  namespace py = pybind11;
  using Matrix = py::array_t<F, py::array::c_style>;
  m.def("nnls",
        [op](const Matrix& a, const Matrix& w, Matrix& out, const std::array<int, 3>& limits, int threads) {
          const auto n = a.shape(0), d = a.shape(1), k = w.shape(0);
          if (w.shape(1) != d || k > cpu::kMaxAtoms)
            throw std::invalid_argument("w: expected (k, d) with k <= MAX_ATOMS");
          if (out.shape(0) != n || out.shape(1) != k) throw std::invalid_argument("out: expected (n, k)");
          const F *rows = a.data(), *atoms = w.data();
          F* o = out.mutable_data();
          std::int64_t report[2];
          {
            py::gil_scoped_release release;
            (cpu::operations().*op)(rows, atoms, n, d, static_cast<int>(k), limits.data(), o, report,
                                    cpu::usable_threads(threads));
          }
          return std::make_pair(report[0], report[1]);
        },
        py::arg("a").noconvert(), py::arg("w").noconvert(), py::arg("out").noconvert(), py::arg("limits"),
        py::arg("threads"),
        "The first row with NaN or Inf and the first unsolved one, n where there is none.");
}

inline void bind_nnls(pybind11::module_& m) {
  m.attr("MAX_ATOMS") = cpu::kMaxAtoms;
  bind_nnls_of<float>(m, &cpu::Operations::nnls_f32);
  bind_nnls_of<double>(m, &cpu::Operations::nnls_f64);
}

}  // namespace diptych::bindings
