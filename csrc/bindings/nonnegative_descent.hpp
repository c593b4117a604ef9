// diptych._cpu.nonnegative_descent.
#pragma once

#include "arrays.hpp"

namespace diptych::bindings {

template <class F>
void bind_nonnegative_descent_of(py::module_& m,
                                 cpu::Operations::NonnegativeDescent<F> cpu::Operations::*op) {
  m.def(
      "nonnegative_descent",
      [op](const Dense<F>& gram, const Dense<F>& products, Dense<F>& factor, int sweeps, int threads) {
        demand(factor.ndim() == 3 && gram.ndim() == 3 && products.ndim() == 3, "expected stacks of matrices");
        const auto b = factor.shape(0), k = factor.shape(1), length = factor.shape(2);
        demand(k <= cpu::kMaxAtoms, "factor: expected (b, k, m) with k <= MAX_ATOMS");
        demand(gram.shape(0) == b && gram.shape(1) == k && gram.shape(2) == k, "gram: expected (b, k, k)");
        demand(products.shape(0) == b && products.shape(1) == k && products.shape(2) == length,
               "products: expected the shape of factor");
        const F *g = gram.data(), *p = products.data();
        F* h = factor.mutable_data();
        py::gil_scoped_release release;
        (cpu::operations().*op)(g, p, b, static_cast<int>(k), length, sweeps, h,
                                cpu::usable_threads(threads));
      },
      py::arg("gram").noconvert(), py::arg("products").noconvert(), py::arg("factor").noconvert(),
      py::arg("sweeps"), py::arg("threads"));
}

inline void bind_nonnegative_descent(py::module_& m) {
  bind_nonnegative_descent_of<float>(m, &cpu::Operations::nonnegative_descent_f32);
  bind_nonnegative_descent_of<double>(m, &cpu::Operations::nonnegative_descent_f64);
}

}  // namespace diptych::bindings
