// The widest registers of an instruction set, full of numbers.
#pragma once

#include <cstdint>

#include "../core/macros.hpp"

namespace diptych::cpu::DIPTYCH_ISA {

#if defined(__AVX512F__)
constexpr int kVectorBytes = 64;
#elif defined(__AVX__)
constexpr int kVectorBytes = 32;
#else
constexpr int kVectorBytes = 16;
#endif

// A register full of numbers, and one of their bits. Plain types: on a dependent one the attribute is ignored.
template <class F>
struct RegisterOf;
template <>
struct RegisterOf<float> {
  typedef float type __attribute__((vector_size(kVectorBytes)));
  typedef std::int32_t Bits __attribute__((vector_size(kVectorBytes)));
};
template <>
struct RegisterOf<double> {
  typedef double type __attribute__((vector_size(kVectorBytes)));
  typedef std::int64_t Bits __attribute__((vector_size(kVectorBytes)));
};
template <class F>
using Register = typename RegisterOf<F>::type;

}  // namespace diptych::cpu::DIPTYCH_ISA
