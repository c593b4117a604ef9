// Bindings of the nearest-neighbor operations.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

#include "../cpu/dispatch.hpp"
#include "arrays.hpp"

namespace diptych::bindings {

using cpu::operations;
using cpu::Operations;
using cpu::usable_threads;

// A core::NearestSearch that keeps the arrays it points to.
template <class E>
class NearestSearch {
 public:
  NearestSearch(Dense<E> asked, Dense<float> low_asked, Dense<float> slack_asked, Dense<E> searched,
                Dense<float> low_searched, Dense<float> slack_searched, double scale, int k,
                bool exclude_self, Dense<float> values, Dense<std::int32_t> items,
                Dense<std::int32_t> counts, Dense<float> thresholds)
      : kept_(py::make_tuple(asked, low_asked, slack_asked, searched, low_searched, slack_searched, values,
                             items, counts, thresholds)),
        n_(asked.shape(0)),
        m_(searched.shape(0)),
        buffered_(values.shape(0)) {
    const auto d = asked.shape(1), capacity = values.shape(1);
    demand(searched.shape(1) == d, "searched: columns differ from asked");
    demand(low_asked.size() == n_ && slack_asked.size() == n_, "bounds of asked: expected (n,)");
    demand(low_searched.size() == m_ && slack_searched.size() == m_, "bounds of searched: expected (m,)");
    demand(m_ <= std::numeric_limits<std::int32_t>::max(), "searched: too many items");
    demand(k >= 1 && capacity > k && items.shape(0) == buffered_ && items.shape(1) == capacity,
           "values, items: expected (count, capacity), capacity above k");
    demand(counts.size() == buffered_ && thresholds.size() == buffered_,
           "counts, thresholds: expected (count,)");
    search_ = {{asked.data(), low_asked.data(), slack_asked.data()},
               {searched.data(), low_searched.data(), slack_searched.data()},
               d, 0, capacity, scale, k, exclude_self, values.mutable_data(), items.mutable_data(),
               counts.mutable_data(), thresholds.mutable_data()};
  }

  // Begins anew: the buffers hold the candidates of items `first` and on.
  void begin(std::int64_t first) {
    demand(first >= 0 && first <= n_, "first: outside the items asked about");
    search_.first = first;
    for (std::int64_t i = 0; i < buffered_; ++i) {
      search_.counts[i] = 0;
      search_.thresholds[i] = std::numeric_limits<float>::infinity();
    }
  }

  void scan(const Dense<float>& products, std::int64_t first_row, std::int64_t first_column, bool both,
            int threads) {
    const auto rows = products.shape(0), columns = products.shape(1);
    demand(holds(first_row, rows), "rows: outside the buffered items");
    demand(first_column >= 0 && first_column + columns <= m_, "columns: outside the searched items");
    demand(!both || (holds(first_column, columns) && search_.asked.rows == search_.searched.rows),
           "both: the columns are not buffered items");
    const core::ProductTile tile = {products.data(), first_row, rows, first_column, columns};
    py::gil_scoped_release release;
    if constexpr (sizeof(E) == sizeof(float))
      operations().nearest_scan_f32(search_, tile, both, usable_threads(threads));
    else
      operations().nearest_scan_f64(search_, tile, both, usable_threads(threads));
  }

  template <class F>
  void finish(std::int64_t first, bool root, double factor, Dense<F>& distances,
              Dense<std::int64_t>& indices, int threads) {
    const auto count = distances.shape(0);
    demand(holds(first, count), "first: outside the buffered items");
    demand(distances.shape(1) == search_.k && indices.shape(0) == count && indices.shape(1) == search_.k,
           "distances, indices: expected (count, k)");
    F* out = distances.mutable_data();
    std::int64_t* items = indices.mutable_data();
    py::gil_scoped_release release;
    if constexpr (sizeof(E) == sizeof(float))
      operations().nearest_finish_f32(search_, first, count, root, factor, out, items,
                                      usable_threads(threads));
    else if constexpr (sizeof(F) == sizeof(float))
      operations().nearest_finish_f64_f32(search_, first, count, root, factor, out, items,
                                          usable_threads(threads));
    else
      operations().nearest_finish_f64(search_, first, count, root, factor, out, items,
                                      usable_threads(threads));
  }

 private:
  bool holds(std::int64_t first, std::int64_t count) const {
    return first >= search_.first && first + count <= search_.first + buffered_ && first + count <= n_;
  }

  py::tuple kept_;
  std::int64_t n_, m_, buffered_;
  core::NearestSearch<E> search_;
};

template <class E>
py::class_<NearestSearch<E>> bind_nearest_search(py::module_& m, const char* name) {
  py::class_<NearestSearch<E>> search(m, name);
  search
      .def(py::init<Dense<E>, Dense<float>, Dense<float>, Dense<E>, Dense<float>, Dense<float>, double, int,
                    bool, Dense<float>, Dense<std::int32_t>, Dense<std::int32_t>, Dense<float>>(),
           py::arg("asked").noconvert(), py::arg("low_asked").noconvert(),
           py::arg("slack_asked").noconvert(), py::arg("searched").noconvert(),
           py::arg("low_searched").noconvert(), py::arg("slack_searched").noconvert(), py::arg("scale"),
           py::arg("k"), py::arg("exclude_self"), py::arg("values").noconvert(),
           py::arg("items").noconvert(), py::arg("counts").noconvert(), py::arg("thresholds").noconvert())
      .def("begin", &NearestSearch<E>::begin, py::arg("first"))
      .def("scan", &NearestSearch<E>::scan, py::arg("products").noconvert(), py::arg("first_row"),
           py::arg("first_column"), py::arg("both"), py::arg("threads"))
      .def("finish", &NearestSearch<E>::template finish<float>, py::arg("first"), py::arg("root"),
           py::arg("factor"), py::arg("distances").noconvert(), py::arg("indices").noconvert(),
           py::arg("threads"));
  return search;
}

template <class E, class F>
void bind_nearest_direct(py::module_& m, Operations::NearestDirect<E, F> Operations::*op) {
  m.def("nearest_direct", [op](const Dense<E>& x, const Dense<E>& y, bool exclude_self, bool root,
                               double factor, Dense<F>& distances, Dense<std::int64_t>& indices,
                               int threads) {
    const auto n = x.shape(0), m = y.shape(0), d = x.shape(1), k = distances.shape(1);
    demand(y.shape(1) == d, "y: columns differ from x");
    demand(distances.shape(0) == n && indices.shape(0) == n && indices.shape(1) == k,
           "distances, indices: expected (n, k)");
    const E *a = x.data(), *b = y.data();
    F* out = distances.mutable_data();
    std::int64_t* items = indices.mutable_data();
    py::gil_scoped_release release;
    (operations().*op)(a, b, n, m, d, k, exclude_self, root, factor, out, items, usable_threads(threads));
  }, py::arg("x").noconvert(), py::arg("y").noconvert(), py::arg("exclude_self"), py::arg("root"),
     py::arg("factor"), py::arg("distances").noconvert(), py::arg("indices").noconvert(),
     py::arg("threads"));
}

// How many of their k nearest neighbors items share in x (n, d_x) and y (n, d_y), from all distances in each.
template <class F>
void bind_common_neighbors(py::module_& m, Operations::NearestDirect<F, F> Operations::*op) {
  m.def("common_neighbors", [op](const Dense<F>& x, const Dense<F>& y, std::int64_t k, int threads) {
    const auto n = x.shape(0);
    demand(y.shape(0) == n, "x, y: numbers of rows differ");
    demand(k >= 1 && k < n, "k: expected 1 to n - 1");
    const F *a = x.data(), *b = y.data();
    const auto d_x = x.shape(1), d_y = y.shape(1);
    py::gil_scoped_release release;
    const int usable = usable_threads(threads);
    std::vector<F> distances(n * k);
    std::vector<std::int64_t> first(n * k), second(n * k);
    (operations().*op)(a, a, n, n, d_x, k, true, false, 1.0, distances.data(), first.data(), usable);
    (operations().*op)(b, b, n, n, d_y, k, true, false, 1.0, distances.data(), second.data(), usable);
    return operations().common_indices(first.data(), second.data(), n, k, usable);
  }, py::arg("x").noconvert(), py::arg("y").noconvert(), py::arg("k"), py::arg("threads"));
}

inline void bind_common(py::module_& m) {
  m.def("common_ranks", [](const Dense<std::int32_t>& a, const Dense<std::int32_t>& b, std::int32_t k,
                           int threads) {
    const auto rows = a.shape(0), n = a.shape(1);
    demand(b.shape(0) == rows && b.shape(1) == n, "a, b: shapes differ");
    const std::int32_t *first = a.data(), *second = b.data();
    py::gil_scoped_release release;
    return operations().common_ranks(first, second, rows, n, k, usable_threads(threads));
  }, py::arg("a").noconvert(), py::arg("b").noconvert(), py::arg("k"), py::arg("threads"));
  m.def("common_indices", [](const Dense<std::int64_t>& a, const Dense<std::int64_t>& b, int threads) {
    const auto rows = a.shape(0), k = a.shape(1);
    demand(b.shape(0) == rows && b.shape(1) == k, "a, b: shapes differ");
    const std::int64_t *first = a.data(), *second = b.data();
    py::gil_scoped_release release;
    return operations().common_indices(first, second, rows, k, usable_threads(threads));
  }, py::arg("a").noconvert(), py::arg("b").noconvert(), py::arg("threads"));
}

inline void bind_knn_family(py::module_& m) {
  bind_nearest_search<float>(m, "NearestSearch32");
  bind_nearest_search<double>(m, "NearestSearch64")
      .def("finish", &NearestSearch<double>::finish<double>, py::arg("first"), py::arg("root"),
           py::arg("factor"), py::arg("distances").noconvert(), py::arg("indices").noconvert(),
           py::arg("threads"));
  bind_nearest_direct<float, float>(m, &Operations::nearest_direct_f32);
  bind_nearest_direct<double, float>(m, &Operations::nearest_direct_f64_f32);
  bind_nearest_direct<double, double>(m, &Operations::nearest_direct_f64);
  bind_common_neighbors<float>(m, &Operations::nearest_direct_f32);
  bind_common_neighbors<double>(m, &Operations::nearest_direct_f64);
  bind_common(m);
}

}  // namespace diptych::bindings
