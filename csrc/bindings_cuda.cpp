// diptych._cuda: the CUDA operations on raw device pointers and a raw stream. The Python layer owns the
// memory, checks shapes and types, and makes the tensors' device the current one.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <array>
#include <cstdint>

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
        [](Address distances, std::int64_t rows, std::int64_t n, std::int64_t first_row, Address out,
           Address workspace, std::size_t bytes, Address stream) {
          diptych::cuda::ranks(at<const F>(distances), rows, n, first_row, at<std::int32_t>(out),
                               at<void>(workspace), bytes, at<CUstream_st>(stream));
        },
        py::arg("distances"), py::arg("rows"), py::arg("n"), py::arg("first_row"), py::arg("out"),
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

}  // namespace

PYBIND11_MODULE(_cuda, m) {
  m.doc() = "CUDA kernels of diptych.ops; call those, they check their arguments.";
  m.attr("CUDA_VERSION") = DIPTYCH_CUDA_VERSION;
  m.attr("ARCHITECTURES") = DIPTYCH_CUDA_ARCHITECTURES;
  bind_ranks<float>(m, "float32");
  bind_ranks<double>(m, "float64");
  bind_differences<std::int32_t, float>(m, "int32");
  bind_differences<float, float>(m, "float32");
  bind_differences<double, double>(m, "float64");
  m.def("nnls_workspace", &diptych::cuda::nnls_workspace, py::arg("n"), py::arg("d"), py::arg("k"));
  bind_nnls<float>(m, "float32");
  bind_nnls<double>(m, "float64");
}
