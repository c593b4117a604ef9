// Bindings of scenes of squares: (n, k, 4) int32, as core::Square lies in memory.
#pragma once

#include <cstdint>

#include "arrays.hpp"
#include "scene_law.hpp"

namespace diptych::bindings {

using Squares = Dense<std::int32_t>;

inline const core::Square* squares_of(const Squares& array) {
  static_assert(sizeof(core::Square) == 4 * sizeof(std::int32_t));
  demand(array.ndim() == 3 && array.shape(2) == 4, "squares: expected (n, k, 4)");
  demand(array.shape(1) <= core::kMaxSquares, "squares: too many on a scene");
  return reinterpret_cast<const core::Square*>(array.data());
}

inline void bind_place_squares(py::module_& m) {
  m.def("place_squares", [](const Dense<std::int32_t>& counts, const Dense<std::int64_t>& index, int size,
                            Range sides, int side_jitter, Range contrasts, int contrast_jitter, int clearance,
                            int attempts, std::uint64_t seed, Squares& squares, Dense<std::int32_t>& placed,
                            int threads) {
    squares_of(squares);
    const auto n = squares.shape(0), k = squares.shape(1);
    demand(counts.size() == n && index.size() == n && placed.size() == n, "counts, index, placed: expected (n,)");
    const core::SceneLaw law =
        scene_law(size, sides, side_jitter, contrasts, contrast_jitter, clearance, attempts, seed);
    const std::int32_t* c = counts.data();
    for (std::int64_t i = 0; i < n; ++i) demand(c[i] >= 0 && c[i] <= k, "counts: expected 0 to k");
    const std::int64_t* numbers = index.data();
    auto* s = reinterpret_cast<core::Square*>(squares.mutable_data());
    std::int32_t* p = placed.mutable_data();
    py::gil_scoped_release release;
    cpu::operations().place_squares(c, numbers, n, k, law, s, p, cpu::usable_threads(threads));
  }, py::arg("counts").noconvert(), py::arg("index").noconvert(), py::arg("size"), py::arg("sides"),
     py::arg("side_jitter"), py::arg("contrasts"), py::arg("contrast_jitter"), py::arg("clearance"),
     py::arg("attempts"), py::arg("seed"), py::arg("squares").noconvert(), py::arg("placed").noconvert(),
     py::arg("threads"));
  m.def("first_misplaced", [](const Squares& squares, int size, int threads) {
    const core::Square* s = squares_of(squares);
    const auto count = squares.shape(0) * squares.shape(1);
    py::gil_scoped_release release;
    return cpu::operations().first_misplaced(s, count, size, cpu::usable_threads(threads));
  }, py::arg("squares").noconvert(), py::arg("size"), py::arg("threads"));
}

template <class P>
void bind_draw_squares(py::module_& m, cpu::Operations::DrawSquares<P> cpu::Operations::*op) {
  m.def("draw_squares", [op](const Squares& squares, Dense<P>& images, int threads) {
    const core::Square* s = squares_of(squares);
    const auto n = squares.shape(0), k = squares.shape(1), size = images.shape(images.ndim() - 1);
    demand(images.size() == n * size * size && size <= core::kMaxSceneSize, "images: expected (n, 1, size, size)");
    P* out = images.mutable_data();
    py::gil_scoped_release release;
    (cpu::operations().*op)(s, n, k, static_cast<std::int32_t>(size), out, cpu::usable_threads(threads));
  }, py::arg("squares").noconvert(), py::arg("images").noconvert(), py::arg("threads"));
}

inline void bind_square_covariates(py::module_& m) {
  m.def("square_covariates", [](const Squares& squares, int size, Dense<double>& out, int threads) {
    const core::Square* s = squares_of(squares);
    const auto n = squares.shape(0), k = squares.shape(1);
    demand(out.size() == 3 * n, "out: expected (n, 3)");
    double* o = out.mutable_data();
    py::gil_scoped_release release;
    cpu::operations().square_covariates(s, n, k, size, o, cpu::usable_threads(threads));
  }, py::arg("squares").noconvert(), py::arg("size"), py::arg("out").noconvert(), py::arg("threads"));
}

inline void bind_squares(py::module_& m) {
  bind_place_squares(m);
  bind_draw_squares<float>(m, &cpu::Operations::draw_squares_f32);
  bind_draw_squares<std::uint8_t>(m, &cpu::Operations::draw_squares_u8);
  bind_square_covariates(m);
}

}  // namespace diptych::bindings
