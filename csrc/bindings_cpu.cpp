// diptych._cpu: the CPU operations on numpy arrays. Shapes and values are the Python layer's to check;
// here only what would otherwise write out of bounds.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <optional>
#include <stdexcept>
#include <tuple>

#include "bindings/knn.hpp"
#include "bindings/correlation.hpp"
#include "bindings/nnls.hpp"
#include "bindings/nonnegative_descent.hpp"
#include "bindings/lasso.hpp"
#include "bindings/hsic.hpp"
#include "bindings/packed.hpp"
#include "bindings/kmeans.hpp"
#include "bindings/unit_rows.hpp"
#include "bindings/sampled.hpp"
#include "bindings/squares.hpp"
#include "cpu/dispatch.hpp"

namespace py = pybind11;
using diptych::cpu::Difference;
using diptych::cpu::operations;
using diptych::cpu::Operations;
using diptych::cpu::usable_threads;

namespace {

template <class T>
using Array = py::array_t<T, py::array::c_style>;

void require(bool holds, const char* what) {
  if (!holds) throw std::invalid_argument(what);
}

template <class F>
void bind_items(py::module_& m, Operations::ShiftToCenter<F> Operations::*shift,
                Operations::Duplicates<F> Operations::*duplicates) {
  m.def("shift_to_center", [shift](const Array<F>& x, Array<F>& out, int threads) {
    const auto n = x.shape(0), d = x.shape(1);
    require(out.shape(0) == n && out.shape(1) == d, "x, out: shapes differ");
    const F* items = x.data();
    F* o = out.mutable_data();
    py::gil_scoped_release release;
    (operations().*shift)(items, n, d, o, usable_threads(threads));
  }, py::arg("x").noconvert(), py::arg("out").noconvert(), py::arg("threads"));
  m.def("duplicates", [duplicates](const Array<F>& x, Array<std::int64_t>& groups, int threads) {
    const auto n = x.shape(0), d = x.shape(1);
    require(groups.size() == n, "x, groups: n differs");
    const F* items = x.data();
    std::int64_t* g = groups.mutable_data();
    py::gil_scoped_release release;
    return (operations().*duplicates)(items, n, d, g, usable_threads(threads));
  }, py::arg("x").noconvert(), py::arg("groups").noconvert(), py::arg("threads"));
}

template <class F>
void bind_direct_distances(py::module_& m, Operations::DirectDistances<F> Operations::*op) {
  m.def("direct_distances", [op](const Array<F>& x, const Array<F>& y, bool root, double factor,
                                 Array<F>& out, int threads) {
    const auto n = x.shape(0), rows = y.shape(0), d = x.shape(1);
    require(y.shape(1) == d, "x, y: numbers of columns differ");
    require(out.shape(0) == n && out.shape(1) == rows, "out: expected (n, m)");
    const F *items = x.data(), *others = y.data();
    F* o = out.mutable_data();
    py::gil_scoped_release release;
    (operations().*op)(items, others, n, rows, d, root, factor, o, usable_threads(threads));
  }, py::arg("x").noconvert(), py::arg("y").noconvert(), py::arg("root"), py::arg("factor"),
     py::arg("out").noconvert(), py::arg("threads"));
}

template <class F>
void bind_distances(py::module_& m, Operations::Distances<F> Operations::*op) {
  m.def("distances", [op](const Array<F>& products, const Array<F>& norms_x, const Array<F>& norms_y,
                          bool squared, Array<F>& out, int threads) {
    const auto rows = out.shape(0), n = out.shape(1), stride = products.shape(1);
    require(products.shape(0) >= rows && stride >= n, "products: smaller than out");
    require(norms_x.size() >= rows && norms_y.size() >= n, "norms: shorter than out");
    const F *p = products.data(), *x = norms_x.data(), *y = norms_y.data();
    F* o = out.mutable_data();
    py::gil_scoped_release release;
    (operations().*op)(p, stride, x, y, rows, n, squared, o, usable_threads(threads));
  }, py::arg("products").noconvert(), py::arg("norms_x").noconvert(), py::arg("norms_y").noconvert(),
     py::arg("squared"), py::arg("out").noconvert(), py::arg("threads"));
}

// The items that rows belong to: null for the first ones, which `rows` must not be more than.
const std::int64_t* rows_of(const std::optional<Array<std::int64_t>>& items, std::int64_t rows, std::int64_t n) {
  if (!items) {
    require(rows <= n, "out: more rows than items");
    return nullptr;
  }
  require(items->size() == rows, "items: expected one per row");
  const std::int64_t* numbers = items->data();
  for (std::int64_t row = 0; row < rows; ++row)
    require(numbers[row] >= 0 && numbers[row] < n, "items: past the last item");
  return numbers;
}

template <class F>
void bind_ranks(py::module_& m, Operations::Ranks<F> Operations::*op,
                Operations::RanksFromProducts<F> Operations::*from_products) {
  using Items = std::optional<Array<std::int64_t>>;
  m.def("ranks", [op](const Array<F>& distances, const Items& items, Array<std::int32_t>& out, int threads) {
    const auto rows = out.shape(0), n = out.shape(1);
    require(distances.shape(0) == rows && distances.shape(1) == n, "distances: shape differs from out");
    const std::int64_t* numbers = rows_of(items, rows, n);
    const F* d = distances.data();
    std::int32_t* o = out.mutable_data();
    py::gil_scoped_release release;
    (operations().*op)(d, rows, n, numbers, o, usable_threads(threads));
  }, py::arg("distances").noconvert(), py::arg("items").noconvert(), py::arg("out").noconvert(), py::arg("threads"));
  m.def("ranks_from_products", [from_products](const Array<F>& products, const Array<F>& norms,
                                               const Items& items, Array<std::int32_t>& out, int threads) {
    const auto rows = out.shape(0), n = out.shape(1), stride = products.shape(1);
    require(products.shape(0) >= rows && stride >= n, "products: smaller than out");
    require(norms.size() >= n, "norms: shorter than out");
    const std::int64_t* numbers = rows_of(items, rows, n);
    const F *p = products.data(), *s = norms.data();
    std::int32_t* o = out.mutable_data();
    py::gil_scoped_release release;
    (operations().*from_products)(p, stride, s, rows, n, numbers, o, usable_threads(threads));
  }, py::arg("products").noconvert(), py::arg("norms").noconvert(), py::arg("items").noconvert(),
     py::arg("out").noconvert(), py::arg("threads"));
}

template <class T, class F>
void bind_differences(py::module_& m, Operations::Biased<T, F> Operations::*biased,
                      Operations::Affinity<T, F> Operations::*affinity) {
  m.def("locally_biased_difference", [biased](const Array<T>& a, const Array<T>& b, double gamma,
                                              double offset, Array<F>& out, int threads) {
    require(a.size() == out.size() && b.size() == out.size(), "a, b, out: sizes differ");
    const T *pa = a.data(), *pb = b.data();
    F* o = out.mutable_data();
    const auto count = out.size();
    py::gil_scoped_release release;
    (operations().*biased)(pa, pb, count, gamma, offset, o, usable_threads(threads));
  }, py::arg("a").noconvert(), py::arg("b").noconvert(), py::arg("gamma"), py::arg("offset"),
     py::arg("out").noconvert(), py::arg("threads"));
  m.def("difference_affinity", [affinity](const Array<T>& a, const Array<T>& b, bool subtraction,
                                          double gamma, double beta, double offset, Array<F>& out_ab,
                                          Array<F>& out_ba, int threads) {
    const auto n = a.shape(0);
    for (const py::array* matrix : {static_cast<const py::array*>(&a), static_cast<const py::array*>(&b),
                                    static_cast<const py::array*>(&out_ab),
                                    static_cast<const py::array*>(&out_ba)})
      require(matrix->ndim() == 2 && matrix->shape(0) == n && matrix->shape(1) == n,
              "a, b, out_ab, out_ba: not all (n, n)");
    const T *pa = a.data(), *pb = b.data();
    F *ab = out_ab.mutable_data(), *ba = out_ba.mutable_data();
    const Difference kind = subtraction ? Difference::subtraction : Difference::locally_biased;
    py::gil_scoped_release release;
    (operations().*affinity)(pa, pb, n, kind, gamma, beta, offset, ab, ba, usable_threads(threads));
  }, py::arg("a").noconvert(), py::arg("b").noconvert(), py::arg("subtraction"), py::arg("gamma"),
     py::arg("beta"), py::arg("offset"), py::arg("out_ab").noconvert(), py::arg("out_ba").noconvert(),
     py::arg("threads"));
}

template <class F>
void bind_knn(py::module_& m, Operations::Knn<F> Operations::*op) {
  m.def("knn_affinity", [op](const Array<F>& affinity, const Array<std::int64_t>& labels, std::int64_t first,
                             Array<F>& scores, Array<std::int64_t>& neighbors, int threads) {
    const auto rows = affinity.shape(0), n = affinity.shape(1), k = neighbors.shape(1);
    require(labels.size() == n && scores.size() == rows && neighbors.shape(0) == rows && first >= 0 &&
                first + rows <= n, "affinity, labels, scores, neighbors: n differs");
    require(k <= diptych::cpu::kMaxNeighbors, "neighbors: too many columns");
    const F* f = affinity.data();
    const std::int64_t* l = labels.data();
    F* s = scores.mutable_data();
    std::int64_t* o = neighbors.mutable_data();
    py::gil_scoped_release release;
    (operations().*op)(f, l, n, first, rows, static_cast<int>(k), s, o, usable_threads(threads));
  }, py::arg("affinity").noconvert(), py::arg("labels").noconvert(), py::arg("first"),
     py::arg("scores").noconvert(), py::arg("neighbors").noconvert(), py::arg("threads"));
}

template <class F>
void bind_block_product(py::module_& m, Operations::BlockProduct<F> Operations::*op) {
  m.def("block_product", [op](const Array<F>& matrix, const Array<F>& x, Array<F>& out, int threads) {
    const auto rows = matrix.shape(0), n = matrix.shape(1);
    require(x.shape(0) == n && x.shape(1) == diptych::cpu::kBlockWidth, "x: expected (n, BLOCK_WIDTH)");
    require(out.shape(0) == rows && out.shape(1) == diptych::cpu::kBlockWidth,
            "out: expected (rows, BLOCK_WIDTH)");
    const F *f = matrix.data(), *v = x.data();
    F* o = out.mutable_data();
    py::gil_scoped_release release;
    (operations().*op)(f, v, rows, n, o, usable_threads(threads));
  }, py::arg("matrix").noconvert(), py::arg("x").noconvert(), py::arg("out").noconvert(),
     py::arg("threads"));
}

template <class F>
void bind_symmetric_range(py::module_& m, Operations::SymmetricRange<F> Operations::*op) {
  m.def("symmetric_range", [op](const Array<F>& matrix, int threads) {
    const auto n = matrix.shape(0);
    require(matrix.shape(1) == n, "matrix: expected (n, n)");
    const F* entries = matrix.data();
    F bounds[3];
    {
      py::gil_scoped_release release;
      (operations().*op)(entries, n, bounds, usable_threads(threads));
    }
    return std::make_tuple(bounds[0], bounds[1], bounds[2]);
  }, py::arg("matrix").noconvert(), py::arg("threads"));
}

}  // namespace

PYBIND11_MODULE(_cpu, m) {
  m.doc() = "CPU kernels of diptych.ops; call those, they check their arguments.";
  m.attr("MAX_NEIGHBORS") = diptych::cpu::kMaxNeighbors;
  m.attr("MAX_CANDIDATES") = diptych::cpu::kMaxCandidates;
  m.attr("MAX_SQUARES") = diptych::core::kMaxSquares;
  m.attr("MAX_SCENE_SIZE") = diptych::core::kMaxSceneSize;
  m.attr("BLOCK_WIDTH") = diptych::cpu::kBlockWidth;
  m.attr("COMPILER") = DIPTYCH_COMPILER;
  m.attr("OPENMP") = DIPTYCH_OPENMP;
  m.def("simd_level", &diptych::cpu::simd_level, "The instruction set in use.");
  bind_items<float>(m, &Operations::shift_to_center_f32, &Operations::duplicates_f32);
  bind_items<double>(m, &Operations::shift_to_center_f64, &Operations::duplicates_f64);
  diptych::bindings::bind_unit_rows(m);
  bind_direct_distances<float>(m, &Operations::direct_distances_f32);
  bind_direct_distances<double>(m, &Operations::direct_distances_f64);
  bind_distances<float>(m, &Operations::distances_f32);
  bind_distances<double>(m, &Operations::distances_f64);
  bind_ranks<float>(m, &Operations::ranks_f32, &Operations::ranks_from_products_f32);
  bind_ranks<double>(m, &Operations::ranks_f64, &Operations::ranks_from_products_f64);
  bind_differences<std::int32_t, float>(m, &Operations::biased_i32, &Operations::affinity_i32);
  bind_differences<float, float>(m, &Operations::biased_f32, &Operations::affinity_f32);
  bind_differences<double, double>(m, &Operations::biased_f64, &Operations::affinity_f64);
  bind_knn<float>(m, &Operations::knn_f32);
  bind_knn<double>(m, &Operations::knn_f64);
  bind_block_product<float>(m, &Operations::block_product_f32);
  bind_block_product<double>(m, &Operations::block_product_f64);
  bind_symmetric_range<float>(m, &Operations::symmetric_range_f32);
  bind_symmetric_range<double>(m, &Operations::symmetric_range_f64);
  diptych::bindings::bind_kmeans(m);
  diptych::bindings::bind_knn_family(m);
  diptych::bindings::bind_correlation<float>(m, &Operations::correlation_f32, &Operations::average_ranks_f32);
  diptych::bindings::bind_correlation<double>(m, &Operations::correlation_f64, &Operations::average_ranks_f64);
  diptych::bindings::bind_nnls(m);
  diptych::bindings::bind_nonnegative_descent(m);
  diptych::bindings::bind_gather_columns<float>(m, &Operations::gather_columns_f32);
  diptych::bindings::bind_gather_columns<double>(m, &Operations::gather_columns_f64);
  diptych::bindings::bind_lasso<float>(m, &Operations::lasso_f32, &Operations::lasso_small_f32);
  diptych::bindings::bind_lasso<double>(m, &Operations::lasso_f64, &Operations::lasso_small_f64);
  diptych::bindings::bind_hsic<float>(m, &Operations::center_f32, &Operations::linear_hsics_f32);
  diptych::bindings::bind_hsic<double>(m, &Operations::center_f64, &Operations::linear_hsics_f64);
  diptych::bindings::bind_packed(m);
  diptych::bindings::bind_sampled(m);
  diptych::bindings::bind_squares(m);
}
