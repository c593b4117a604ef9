// Coordinate descent on 1/2 <h, G h> - <p, h> over h >= 0: a half-step of hierarchical alternating least
// squares (Cichocki & Phan 2009).
#pragma once

#include <cstdint>

#include "macros.hpp"

namespace diptych::core::DIPTYCH_ISA {

// kLanes problems that share G (k, k), side by side in h and p (k, kLanes), improved in place. `inverse` (k,)
// holds 1 / G_jj, or 0 where that entry is to stay.
template <int kLanes, class F>
DIPTYCH_HD inline void nonnegative_descent(const F* gram, const F* inverse, const F* p, int k, int sweeps,
                                           F* h) {
  for (int sweep = 0; sweep < sweeps; ++sweep) {
    for (int j = 0; j < k; ++j) {
      F rest[kLanes];
      for (int lane = 0; lane < kLanes; ++lane) rest[lane] = p[j * kLanes + lane];
      for (int l = 0; l < k; ++l) {
        const F g = gram[static_cast<std::int64_t>(j) * k + l];
        for (int lane = 0; lane < kLanes; ++lane) rest[lane] -= g * h[l * kLanes + lane];
      }
      for (int lane = 0; lane < kLanes; ++lane) {
        const F moved = h[j * kLanes + lane] + inverse[j] * rest[lane];
        h[j * kLanes + lane] = moved > F(0) ? moved : F(0);
      }
    }
  }
}

}  // namespace diptych::core::DIPTYCH_ISA
