// Packed difference affinities for diptych._cpu; included by bindings_cpu.cpp alone.
#pragma once

#include "arrays.hpp"

namespace diptych::bindings {

template <class T>
void bind_pack_difference(py::module_& m, cpu::Operations::PackDifference<T> cpu::Operations::*op) {
  m.def("pack_difference", [op](const Dense<T>& a, const Dense<T>& b, bool subtraction, double gamma,
                                double offset, Dense<std::int8_t>& out, Dense<double>& sizes, int threads) {
    demand(a.ndim() == 2 && b.ndim() == 2 && out.ndim() == 2, "a, b, out: expected matrices");
    const auto rows = out.shape(0), n = out.shape(1);
    demand(a.shape(0) == rows && a.shape(1) == n && b.shape(0) == rows && b.shape(1) == n &&
               sizes.size() == rows,
           "a, b, out, sizes: shapes differ");
    const T *pa = a.data(), *pb = b.data();
    std::int8_t* o = out.mutable_data();
    double* s = sizes.mutable_data();
    const cpu::Difference kind = subtraction ? cpu::Difference::subtraction : cpu::Difference::locally_biased;
    py::gil_scoped_release release;
    (cpu::operations().*op)(pa, pb, rows, n, kind, gamma, offset, o, s, cpu::usable_threads(threads));
  }, py::arg("a").noconvert(), py::arg("b").noconvert(), py::arg("subtraction"), py::arg("gamma"),
     py::arg("offset"), py::arg("out").noconvert(), py::arg("sizes").noconvert(), py::arg("threads"));
}

inline void bind_shards(py::module_& m) {
  m.def("fold_shard", [](Dense<std::int8_t>& codes, Dense<std::int8_t>& mirrored, std::int64_t first,
                         double beta, int threads) {
    const auto rows = codes.shape(0), n = codes.shape(1);
    demand(codes.ndim() == 2 && mirrored.ndim() == 2 && mirrored.shape(0) == rows && mirrored.shape(1) == n,
           "codes, mirrored: shapes differ");
    demand(first >= 0 && first + rows <= n, "first: past the last item");
    std::int8_t *c = codes.mutable_data(), *m = mirrored.mutable_data();
    py::gil_scoped_release release;
    cpu::operations().fold_shard(c, m, first, rows, n, beta, cpu::usable_threads(threads));
  }, py::arg("codes").noconvert(), py::arg("mirrored").noconvert(), py::arg("first"), py::arg("beta"),
     py::arg("threads"));
  m.def("shard_product", [](const Dense<std::int8_t>& codes, double beta, const Dense<float>& x,
                            Dense<float>& out, int threads) {
    demand(codes.ndim() == 2, "codes: expected (rows, n)");
    const auto rows = codes.shape(0), n = codes.shape(1);
    demand(x.size() == n * cpu::kBlockWidth && out.size() == rows * cpu::kBlockWidth,
           "x, out: expected (n, BLOCK_WIDTH), (rows, BLOCK_WIDTH)");
    const std::int8_t* c = codes.data();
    const float* columns = x.data();
    float* o = out.mutable_data();
    py::gil_scoped_release release;
    cpu::operations().shard_product(c, rows, n, beta, columns, o, cpu::usable_threads(threads));
  }, py::arg("codes").noconvert(), py::arg("beta"), py::arg("x").noconvert(), py::arg("out").noconvert(),
     py::arg("threads"));
  m.def("decode_shard", [](const Dense<std::int8_t>& codes, double beta, Dense<float>& out, int threads) {
    demand(codes.size() == out.size(), "codes, out: sizes differ");
    const std::int8_t* c = codes.data();
    float* o = out.mutable_data();
    const auto count = codes.size();
    py::gil_scoped_release release;
    cpu::operations().decode_shard(c, count, beta, o, cpu::usable_threads(threads));
  }, py::arg("codes").noconvert(), py::arg("beta"), py::arg("out").noconvert(), py::arg("threads"));
}

inline void bind_packed(py::module_& m) {
  bind_pack_difference<std::int32_t>(m, &cpu::Operations::pack_difference_i32);
  bind_pack_difference<float>(m, &cpu::Operations::pack_difference_f32);
  m.def("fold_packed", [](Dense<std::int8_t>& codes, double beta, int threads) {
    demand(codes.ndim() == 2 && codes.shape(0) == codes.shape(1), "codes: expected (n, n)");
    std::int8_t* c = codes.mutable_data();
    const auto n = codes.shape(0);
    py::gil_scoped_release release;
    cpu::operations().fold_packed(c, n, beta, cpu::usable_threads(threads));
  }, py::arg("codes").noconvert(), py::arg("beta"), py::arg("threads"));
  m.def("packed_product", [](const Dense<std::int8_t>& codes, bool above, double beta, const Dense<float>& x,
                             Dense<float>& out, int threads) {
    const auto n = codes.shape(0);
    demand(codes.ndim() == 2 && codes.shape(1) == n, "codes: expected (n, n)");
    demand(x.size() == n * cpu::kBlockWidth && out.size() == x.size(), "x, out: expected (n, BLOCK_WIDTH)");
    const std::int8_t* c = codes.data();
    const float* columns = x.data();
    float* o = out.mutable_data();
    py::gil_scoped_release release;
    cpu::operations().packed_product(c, n, above, beta, columns, o, cpu::usable_threads(threads));
  }, py::arg("codes").noconvert(), py::arg("above"), py::arg("beta"), py::arg("x").noconvert(),
     py::arg("out").noconvert(), py::arg("threads"));
  m.def("packed_rows", [](const Dense<std::int8_t>& codes, bool above, double beta, std::int64_t first,
                          Dense<float>& out, int threads) {
    const auto n = codes.shape(0);
    demand(codes.ndim() == 2 && codes.shape(1) == n, "codes: expected (n, n)");
    demand(out.ndim() == 2 && out.shape(1) == n && first >= 0 && first + out.shape(0) <= n,
           "out: expected rows of codes");
    const std::int8_t* c = codes.data();
    float* o = out.mutable_data();
    const auto rows = out.shape(0);
    py::gil_scoped_release release;
    cpu::operations().packed_rows(c, n, above, beta, first, rows, o, cpu::usable_threads(threads));
  }, py::arg("codes").noconvert(), py::arg("above"), py::arg("beta"), py::arg("first"),
     py::arg("out").noconvert(), py::arg("threads"));
  bind_shards(m);
}

}  // namespace diptych::bindings
