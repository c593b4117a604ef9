// diptych._cuda: the CUDA operations on raw device pointers and a raw stream. The Python layer owns the
// memory, checks shapes and types, and makes the tensors' device the current one.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <array>
#include <cstdint>
#include <string>

#include "bindings/scene_law.hpp"
#include "cuda/nnls.hpp"
#include "cuda/ops.hpp"

namespace py = pybind11;
using Address = std::uintptr_t;

namespace {

template <class T>
T* at(Address address) {
  return reinterpret_cast<T*>(address);
}

template <class F>
void bind_ranks(py::module_& m, const char* suffix) {
  const std::string end(suffix);
  m.def(("ranks_workspace_" + end).c_str(), &diptych::cuda::ranks_workspace<F>, py::arg("rows"),
        py::arg("n"), py::call_guard<py::gil_scoped_release>());
  m.def(("ranks_" + end).c_str(),
        [](Address values, Address norms, std::int64_t rows, std::int64_t n, std::int64_t first_row,
           Address out, Address workspace, std::size_t bytes, Address stream) {
          diptych::cuda::ranks(at<F>(values), at<const F>(norms), rows, n, first_row, at<std::int32_t>(out),
                               at<void>(workspace), bytes, at<CUstream_st>(stream));
        },
        py::arg("values"), py::arg("norms"), py::arg("rows"), py::arg("n"), py::arg("first_row"),
        py::arg("out"), py::arg("workspace"), py::arg("workspace_bytes"), py::arg("stream"),
        py::call_guard<py::gil_scoped_release>());
}

template <class F>
void bind_knn(py::module_& m, const char* suffix) {
  m.def((std::string("knn_affinity_") + suffix).c_str(),
        [](Address affinity, Address labels, std::int64_t n, int k, Address scores, Address neighbors,
           Address stream) {
          diptych::cuda::knn(at<const F>(affinity), at<const std::int64_t>(labels), n, k, at<F>(scores),
                             at<std::int64_t>(neighbors), at<CUstream_st>(stream));
        },
        py::arg("affinity"), py::arg("labels"), py::arg("n"), py::arg("k"), py::arg("scores"),
        py::arg("neighbors"), py::arg("stream"), py::call_guard<py::gil_scoped_release>());
}

void bind_kmeans(py::module_& m) {
  m.def("kmeans_workspace", &diptych::cuda::kmeans_workspace, py::arg("d"), py::arg("k"),
        py::arg("restarts"));
  m.def("kmeans",
        [](Address x, std::int64_t n, int d, int k, int restarts, int max_iter, double threshold,
           Address centers, Address labels, Address inertia, Address workspace, std::size_t bytes,
           Address stream) {
          diptych::cuda::kmeans(at<const double>(x), n, d, k, restarts, max_iter, threshold,
                                at<double>(centers), at<std::int64_t>(labels), at<double>(inertia),
                                at<void>(workspace), bytes, at<CUstream_st>(stream));
        },
        py::arg("x"), py::arg("n"), py::arg("d"), py::arg("k"), py::arg("restarts"), py::arg("max_iter"),
        py::arg("threshold"), py::arg("centers"), py::arg("labels"), py::arg("inertia"),
        py::arg("workspace"), py::arg("workspace_bytes"), py::arg("stream"),
        py::call_guard<py::gil_scoped_release>());
}

template <class T, class F>
void bind_differences(py::module_& m, const char* suffix) {
  const std::string end(suffix);
  m.def(("locally_biased_difference_" + end).c_str(),
        [](Address a, Address b, std::int64_t count, double gamma, double offset, Address out,
           Address stream) {
          diptych::cuda::biased(at<const T>(a), at<const T>(b), count, gamma, offset, at<F>(out),
                                at<CUstream_st>(stream));
        },
        py::arg("a"), py::arg("b"), py::arg("count"), py::arg("gamma"), py::arg("offset"), py::arg("out"),
        py::arg("stream"), py::call_guard<py::gil_scoped_release>());
  m.def(("difference_affinity_" + end).c_str(),
        [](Address a, Address b, std::int64_t n, bool subtraction, double gamma, double beta, double offset,
           Address out_ab, Address out_ba, Address stream) {
          diptych::cuda::affinity(at<const T>(a), at<const T>(b), n, subtraction, gamma, beta, offset,
                                  at<F>(out_ab), at<F>(out_ba), at<CUstream_st>(stream));
        },
        py::arg("a"), py::arg("b"), py::arg("n"), py::arg("subtraction"), py::arg("gamma"),
        py::arg("beta"), py::arg("offset"), py::arg("out_ab"), py::arg("out_ba"), py::arg("stream"),
        py::call_guard<py::gil_scoped_release>());
}

template <class F>
void bind_lasso(py::module_& m, const char* suffix) {
  m.def(("lasso_" + std::string(suffix)).c_str(),
        [](Address gram, Address starts, std::int64_t problems, std::int64_t features, std::int64_t largest,
           Address alpha, Address tolerance, Address residual, Address gradient, Address coefficients,
           Address passes, int max_passes, Address workspace, Address stream) {
          diptych::cuda::lasso<F>(at<const std::int64_t>(gram), at<const std::int64_t>(starts), problems,
                                  features, largest, at<const double>(alpha), at<const double>(tolerance),
                                  at<const double>(residual), at<double>(gradient), at<double>(coefficients),
                                  at<std::int32_t>(passes), max_passes, at<void>(workspace),
                                  at<CUstream_st>(stream));
        },
        py::arg("gram"), py::arg("starts"), py::arg("problems"), py::arg("features"), py::arg("largest"),
        py::arg("alpha"), py::arg("tolerance"), py::arg("residual"), py::arg("gradient"),
        py::arg("coefficients"), py::arg("passes"), py::arg("max_passes"), py::arg("workspace"),
        py::arg("stream"), py::call_guard<py::gil_scoped_release>());
}

template <class F>
void bind_nnls(py::module_& m, const char* suffix) {
  m.def((std::string("nnls_") + suffix).c_str(),
        [](Address a, Address w, std::int64_t n, std::int64_t d, int k, const std::array<int, 3>& limits,
           Address out, Address report, Address workspace, Address stream) {
          diptych::cuda::nnls(at<const F>(a), at<const F>(w), n, d, k, limits.data(), at<F>(out),
                              at<std::int64_t>(report), at<void>(workspace), at<CUstream_st>(stream));
        },
        py::arg("a"), py::arg("w"), py::arg("n"), py::arg("d"), py::arg("k"), py::arg("limits"),
        py::arg("out"), py::arg("report"), py::arg("workspace"), py::arg("stream"),
        py::call_guard<py::gil_scoped_release>());
}

template <class P>
void bind_draw_squares(py::module_& m, const char* suffix) {
  m.def((std::string("draw_squares_") + suffix).c_str(),
        [](Address squares, std::int64_t n, std::int64_t k, std::int32_t size, Address images, Address stream) {
          diptych::cuda::draw_squares(at<const diptych::core::Square>(squares), n, k, size, at<P>(images),
                                      at<CUstream_st>(stream));
        },
        py::arg("squares"), py::arg("n"), py::arg("k"), py::arg("size"), py::arg("images"), py::arg("stream"),
        py::call_guard<py::gil_scoped_release>());
}

void bind_squares(py::module_& m) {
  using diptych::bindings::Range;
  using diptych::core::Square;
  m.def("place_squares",
        [](Address counts, Address index, std::int64_t n, std::int64_t k, std::int32_t size, Range sides,
           std::int32_t side_jitter, Range contrasts, std::int32_t contrast_jitter, std::int32_t clearance,
           std::int32_t attempts, std::uint64_t seed, Address squares, Address placed, Address stream) {
          const auto law = diptych::bindings::scene_law(size, sides, side_jitter, contrasts, contrast_jitter,
                                                        clearance, attempts, seed);
          diptych::cuda::place_squares(at<const std::int32_t>(counts), at<const std::int64_t>(index), n, k, law,
                                       at<Square>(squares), at<std::int32_t>(placed), at<CUstream_st>(stream));
        },
        py::arg("counts"), py::arg("index"), py::arg("n"), py::arg("k"), py::arg("size"), py::arg("sides"),
        py::arg("side_jitter"), py::arg("contrasts"), py::arg("contrast_jitter"), py::arg("clearance"),
        py::arg("attempts"), py::arg("seed"), py::arg("squares"), py::arg("placed"), py::arg("stream"),
        py::call_guard<py::gil_scoped_release>());
  bind_draw_squares<float>(m, "float32");
  bind_draw_squares<std::uint8_t>(m, "uint8");
  m.def("square_covariates",
        [](Address squares, std::int64_t n, std::int64_t k, std::int32_t size, Address out, Address stream) {
          diptych::cuda::square_covariates(at<const Square>(squares), n, k, size, at<double>(out),
                                           at<CUstream_st>(stream));
        },
        py::arg("squares"), py::arg("n"), py::arg("k"), py::arg("size"), py::arg("out"), py::arg("stream"),
        py::call_guard<py::gil_scoped_release>());
}

}  // namespace

PYBIND11_MODULE(_cuda, m) {
  m.doc() = "CUDA kernels of diptych.ops; call those, they check their arguments.";
  m.attr("CUDA_VERSION") = DIPTYCH_CUDA_VERSION;
  m.attr("ARCHITECTURES") = DIPTYCH_CUDA_ARCHITECTURES;
  bind_ranks<float>(m, "float32");
  bind_ranks<double>(m, "float64");
  bind_knn<float>(m, "float32");
  bind_knn<double>(m, "float64");
  bind_kmeans(m);
  m.def("lasso_workspace", &diptych::cuda::lasso_workspace, py::arg("features"), py::arg("problems"),
        py::arg("largest"));
  bind_lasso<float>(m, "float32");
  bind_lasso<double>(m, "float64");
  bind_differences<std::int32_t, float>(m, "int32");
  bind_differences<float, float>(m, "float32");
  bind_differences<double, double>(m, "float64");
  m.def("nnls_workspace", &diptych::cuda::nnls_workspace, py::arg("n"), py::arg("d"), py::arg("k"));
  bind_nnls<float>(m, "float32");
  bind_nnls<double>(m, "float64");
  bind_squares(m);
}
