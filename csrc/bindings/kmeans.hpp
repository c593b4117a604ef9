// Bindings of k-means.
#pragma once

#include <cstdint>

#include "arrays.hpp"

namespace diptych::bindings {

inline void bind_kmeans(py::module_& m) {
  m.def("kmeans_seeds", [](const Dense<double>& x, const Dense<std::int64_t>& firsts, const Dense<double>& draws,
                           Dense<double>& centers, int threads) {
    const auto n = x.shape(0), d = x.shape(1), restarts = centers.shape(0), k = centers.shape(1);
    demand(centers.ndim() == 3 && centers.shape(2) == d, "centers: expected (restarts, k, d)");
    demand(draws.ndim() == 3 && draws.shape(0) == k - 1 && draws.shape(1) == restarts,
           "draws: expected (k - 1, restarts, candidates)");
    demand(draws.shape(2) >= 1 && draws.shape(2) <= cpu::kMaxCandidates, "draws: too few or many candidates");
    demand(firsts.size() == restarts, "firsts: expected (restarts,)");
    const std::int64_t* items = firsts.data();
    for (std::int64_t r = 0; r < restarts; ++r)
      demand(items[r] >= 0 && items[r] < n, "firsts: past the last item");
    const double *rows = x.data(), *numbers = draws.data();
    double* c = centers.mutable_data();
    const int candidates = static_cast<int>(draws.shape(2));
    py::gil_scoped_release release;
    cpu::operations().kmeans_seeds(rows, n, static_cast<int>(d), static_cast<int>(k), static_cast<int>(restarts),
                                   items, numbers, candidates, c, cpu::usable_threads(threads));
  }, py::arg("x").noconvert(), py::arg("firsts").noconvert(), py::arg("draws").noconvert(),
     py::arg("centers").noconvert(), py::arg("threads"));
  m.def("kmeans", [](const Dense<double>& x, Dense<double>& centers, Dense<std::int64_t>& labels,
                     Dense<double>& inertia, int max_iter, double threshold, int threads) {
    const auto n = x.shape(0), d = x.shape(1), restarts = centers.shape(0), k = centers.shape(1);
    demand(centers.ndim() == 3 && centers.shape(2) == d, "centers: expected (restarts, k, d)");
    demand(labels.shape(0) == restarts && labels.shape(1) == n, "labels: expected (restarts, n)");
    demand(inertia.size() == restarts, "inertia: expected (restarts,)");
    const double* items = x.data();
    double *c = centers.mutable_data(), *i = inertia.mutable_data();
    std::int64_t* l = labels.mutable_data();
    py::gil_scoped_release release;
    cpu::operations().kmeans(items, n, static_cast<int>(d), static_cast<int>(k), static_cast<int>(restarts),
                             max_iter, threshold, c, l, i, cpu::usable_threads(threads));
  }, py::arg("x").noconvert(), py::arg("centers").noconvert(), py::arg("labels").noconvert(),
     py::arg("inertia").noconvert(), py::arg("max_iter"), py::arg("threshold"), py::arg("threads"));
}

}  // namespace diptych::bindings
