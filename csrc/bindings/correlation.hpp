// Column correlations and average ranks for diptych._cpu; included by bindings_cpu.cpp alone.
#pragma once

#include "arrays.hpp"

namespace diptych::bindings {

template <class F>
void bind_correlation(py::module_& m, cpu::Operations::Correlation<F> cpu::Operations::*correlation,
                      cpu::Operations::AverageRanks<F> cpu::Operations::*ranks) {
  m.def("correlation", [correlation](const Dense<F>& u, const Dense<F>& v, bool ranked, double constant,
                                     Dense<F>& out, int threads) {
    demand(u.ndim() == 3 && v.ndim() == 3 && out.ndim() == 3 && u.shape(1) == v.shape(1) &&
               u.shape(0) == v.shape(0) && u.shape(0) == out.shape(0) && out.shape(1) == u.shape(2) &&
               out.shape(2) == v.shape(2),
           "u, v, out: expected (b, n, k1), (b, n, k2), (b, k1, k2)");
    const F *pu = u.data(), *pv = v.data();
    F* o = out.mutable_data();
    const auto problems = u.shape(0), n = u.shape(1), k_u = u.shape(2), k_v = v.shape(2);
    py::gil_scoped_release release;
    (cpu::operations().*correlation)(pu, pv, problems, n, k_u, k_v, ranked, constant, o,
                                     cpu::usable_threads(threads));
  }, py::arg("u").noconvert(), py::arg("v").noconvert(), py::arg("ranked"), py::arg("constant"), py::arg("out").noconvert(),
     py::arg("threads"));
  m.def("average_ranks", [ranks](const Dense<F>& x, Dense<F>& out, int threads) {
    demand(x.ndim() == 3 && out.ndim() == 3 && x.shape(0) == out.shape(0) && x.shape(1) == out.shape(1) &&
               x.shape(2) == out.shape(2),
           "x, out: expected (b, n, k) both");
    const F* p = x.data();
    F* o = out.mutable_data();
    const auto problems = x.shape(0), n = x.shape(1), k = x.shape(2);
    py::gil_scoped_release release;
    (cpu::operations().*ranks)(p, problems, n, k, o, cpu::usable_threads(threads));
  }, py::arg("x").noconvert(), py::arg("out").noconvert(), py::arg("threads"));
}

}  // namespace diptych::bindings
