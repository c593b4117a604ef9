// Sampled difference affinities for diptych._cpu; included by bindings_cpu.cpp alone.
#pragma once

#include <cstdint>

#include "arrays.hpp"

namespace diptych::bindings {

template <class T>
void bind_sample_pairs(py::module_& m, cpu::Operations::SamplePairs<T> cpu::Operations::*op) {
  m.def("sample_pairs", [op](const Dense<T>& a, const Dense<T>& b, std::int64_t first, bool subtraction,
                             double gamma, double beta, double offset, std::int64_t neighbors,
                             std::uint64_t seed, Dense<std::int32_t>& columns, Dense<float>& values,
                             Dense<std::int32_t>& counts, Dense<float>& scales, Dense<double>& sizes,
                             int threads) {
    demand(a.ndim() == 2 && b.ndim() == 2 && columns.ndim() == 2, "a, b, columns: expected matrices");
    const auto rows = a.shape(0), n = a.shape(1), width = columns.shape(1);
    demand(b.shape(0) == rows && b.shape(1) == n, "a, b: shapes differ");
    demand(columns.shape(0) == rows && values.size() == rows * width && counts.size() == 2 * rows &&
               scales.size() == rows && sizes.size() == rows,
           "columns, values, counts, scales, sizes: shapes differ");
    demand(first >= 0 && first + rows <= n && neighbors >= 1 && 2 * neighbors <= width && width < n,
           "first, neighbors, columns: out of range");
    const T *pa = a.data(), *pb = b.data();
    std::int32_t *c = columns.mutable_data(), *k = counts.mutable_data();
    float *v = values.mutable_data(), *s = scales.mutable_data();
    double* z = sizes.mutable_data();
    const cpu::Difference kind = subtraction ? cpu::Difference::subtraction : cpu::Difference::locally_biased;
    py::gil_scoped_release release;
    (cpu::operations().*op)(pa, pb, rows, n, first, kind, gamma, beta, offset, neighbors, seed, width, c, v, k, s,
                            z, cpu::usable_threads(threads));
  }, py::arg("a").noconvert(), py::arg("b").noconvert(), py::arg("first"), py::arg("subtraction"),
     py::arg("gamma"), py::arg("beta"), py::arg("offset"), py::arg("neighbors"), py::arg("seed"),
     py::arg("columns").noconvert(), py::arg("values").noconvert(), py::arg("counts").noconvert(),
     py::arg("scales").noconvert(), py::arg("sizes").noconvert(), py::arg("threads"));
}

// An array of a tuple, taken as it is: a converted copy would not outlive the cast.
template <class T>
Dense<T> element(const py::tuple& arrays, std::size_t place) {
  demand(py::isinstance<Dense<T>>(arrays[place]), "pairs: expected contiguous arrays of the documented dtypes");
  return py::reinterpret_borrow<Dense<T>>(arrays[place]);
}

// Kept pairs out of the tuple (columns, values, counts, scales, starts), which must outlive them.
inline cpu::SampledPairs sampled_pairs(const py::tuple& arrays) {
  demand(arrays.size() == 5, "pairs: expected columns, values, counts, scales, starts");
  const auto columns = element<std::int32_t>(arrays, 0), counts = element<std::int32_t>(arrays, 2);
  const auto values = element<float>(arrays, 1), scales = element<float>(arrays, 3);
  const auto starts = element<std::int64_t>(arrays, 4);
  const auto rows = starts.size(), places = columns.size();
  demand(values.size() == places && counts.size() == 2 * rows && scales.size() == rows,
         "columns, values, counts, scales, starts: shapes differ");
  const std::int32_t* c = counts.data();
  const std::int64_t* s = starts.data();
  for (py::ssize_t i = 0; i < rows; ++i)
    demand(c[2 * i] >= 0 && c[2 * i] <= c[2 * i + 1] && s[i] >= 0 && s[i] + c[2 * i + 1] <= places,
           "starts, counts: past the last pair");
  return {columns.data(), values.data(), c, scales.data(), s, rows};
}

inline cpu::SampledShare sampled_share(const py::tuple& own, const py::tuple& back, std::int64_t first, float most) {
  const cpu::SampledShare share{sampled_pairs(own), sampled_pairs(back), first, most};
  demand(first >= 0 && first + share.own.rows <= share.back.rows, "first: out of range");
  return share;
}

inline void bind_sampled(py::module_& m) {
  bind_sample_pairs<std::int32_t>(m, &cpu::Operations::sample_pairs_i32);
  bind_sample_pairs<float>(m, &cpu::Operations::sample_pairs_f32);
  m.def("sampled_product", [](const py::tuple& own, const py::tuple& back, std::int64_t first, float sign,
                              const Dense<float>& x, Dense<float>& out, int threads) {
    const auto share = sampled_share(own, back, first, 0);
    demand(x.size() == share.back.rows * cpu::kBlockWidth && out.size() == share.own.rows * cpu::kBlockWidth,
           "x, out: expected (n, BLOCK_WIDTH), (rows, BLOCK_WIDTH)");
    const float* vectors = x.data();
    float* o = out.mutable_data();
    py::gil_scoped_release release;
    cpu::operations().sampled_product(share, sign, vectors, o, cpu::usable_threads(threads));
  }, py::arg("own"), py::arg("back"), py::arg("first"), py::arg("sign"), py::arg("x").noconvert(),
     py::arg("out").noconvert(), py::arg("threads"));
  m.def("sampled_entries", [](const py::tuple& own, const py::tuple& back, std::int64_t first, float sign,
                              const Dense<std::int64_t>& i, const Dense<std::int64_t>& j, Dense<float>& out,
                              int threads) {
    const auto share = sampled_share(own, back, first, 0);
    const auto count = out.size();
    demand(i.size() == count && j.size() == count, "i, j, out: sizes differ");
    const std::int64_t *items = i.data(), *others = j.data();
    for (py::ssize_t e = 0; e < count; ++e)
      demand(items[e] >= first && items[e] < first + share.own.rows && others[e] >= 0 &&
                 others[e] < share.back.rows,
             "i, j: past the last item");
    float* o = out.mutable_data();
    py::gil_scoped_release release;
    cpu::operations().sampled_entries(share, sign, items, others, count, o, cpu::usable_threads(threads));
  }, py::arg("own"), py::arg("back"), py::arg("first"), py::arg("sign"), py::arg("i").noconvert(),
     py::arg("j").noconvert(), py::arg("out").noconvert(), py::arg("threads"));
  m.def("sampled_knn", [](const py::tuple& own, const py::tuple& back, std::int64_t first, float sign, float most,
                          const Dense<std::int64_t>& labels, Dense<float>& scores,
                          Dense<std::int64_t>& neighbors, int threads) {
    const auto share = sampled_share(own, back, first, most);
    demand(labels.size() == share.back.rows && scores.size() == share.own.rows && neighbors.ndim() == 2 &&
               neighbors.shape(0) == share.own.rows && neighbors.shape(1) >= 1,
           "labels, scores, neighbors: n differs");
    const std::int64_t* l = labels.data();
    float* s = scores.mutable_data();
    std::int64_t* o = neighbors.mutable_data();
    const int k = static_cast<int>(neighbors.shape(1));
    py::gil_scoped_release release;
    cpu::operations().sampled_knn(share, sign, l, k, s, o, cpu::usable_threads(threads));
  }, py::arg("own"), py::arg("back"), py::arg("first"), py::arg("sign"), py::arg("most"),
     py::arg("labels").noconvert(), py::arg("scores").noconvert(), py::arg("neighbors").noconvert(),
     py::arg("threads"));
}

}  // namespace diptych::bindings
