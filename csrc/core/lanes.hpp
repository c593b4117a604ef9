// Numbers of several problems side by side, so that one instruction serves all of them. On the device a
// thread is one lane; on the host a register holds as many as fit.
#pragma once

#include <cstdint>

#include "macros.hpp"

namespace diptych::core::DIPTYCH_ISA {

#if defined(__CUDACC__) || defined(DIPTYCH_ONE_LANE)

constexpr int kLanes = 1;
using Lanes = double;
using LaneMask = std::int64_t;
constexpr std::int64_t kTrue = 1;  // a lane's mask where a comparison holds

DIPTYCH_HD inline Lanes load(const double* from) { return *from; }
DIPTYCH_HD inline void store(double* to, Lanes value) { *to = value; }
DIPTYCH_HD inline LaneMask load_mask(const std::int64_t* from) { return *from; }
DIPTYCH_HD inline void store_mask(std::int64_t* to, LaneMask mask) { *to = mask; }
DIPTYCH_HD inline double sum_of(Lanes value) { return value; }

#else

#if defined(__AVX512F__)
constexpr int kRegisterBytes = 64;
#elif defined(__AVX__)
constexpr int kRegisterBytes = 32;
#else
constexpr int kRegisterBytes = 16;
#endif
constexpr int kLanes = kRegisterBytes / sizeof(double);
typedef double Lanes __attribute__((vector_size(kRegisterBytes)));
typedef std::int64_t LaneMask __attribute__((vector_size(kRegisterBytes)));
constexpr std::int64_t kTrue = -1;  // a lane's mask where a comparison holds

inline Lanes load(const double* from) {
  Lanes value;
  __builtin_memcpy(&value, from, sizeof value);
  return value;
}
inline void store(double* to, Lanes value) { __builtin_memcpy(to, &value, sizeof value); }
inline LaneMask load_mask(const std::int64_t* from) {
  LaneMask mask;
  __builtin_memcpy(&mask, from, sizeof mask);
  return mask;
}
inline void store_mask(std::int64_t* to, LaneMask mask) { __builtin_memcpy(to, &mask, sizeof mask); }
// By halves: a chain of additions would wait for each.
inline double sum_of(Lanes value) {
  double parts[kLanes];
  store(parts, value);
  for (int half = kLanes / 2; half > 0; half /= 2)
    for (int lane = 0; lane < half; ++lane) parts[lane] += parts[lane + half];
  return parts[0];
}

#endif

DIPTYCH_HD inline Lanes all_lanes(double value) { return Lanes{} + value; }
DIPTYCH_HD inline LaneMask negation(LaneMask mask) { return mask == 0; }
DIPTYCH_HD inline Lanes select(LaneMask mask, Lanes yes, Lanes no) { return mask ? yes : no; }

}  // namespace diptych::core::DIPTYCH_ISA
