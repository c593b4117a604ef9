// What the bindings share: dense arrays taken as they are, and the refusal of shapes that do not fit.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <stdexcept>

#include "../cpu/dispatch.hpp"

namespace diptych::bindings {

namespace py = pybind11;

template <class T>
using Dense = py::array_t<T, py::array::c_style>;

inline void demand(bool holds, const char* what) {
  if (!holds) throw std::invalid_argument(what);
}

}  // namespace diptych::bindings
