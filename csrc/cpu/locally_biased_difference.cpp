#include "kernels.hpp"

namespace diptych::cpu::DIPTYCH_ISA {

template <class T, class F>
void biased(const T* a, const T* b, std::int64_t count, double gamma, double offset, F* out, int threads) {
  const F g = core::DIPTYCH_ISA::sensitivity<F>(gamma), o = static_cast<F>(offset);
#pragma omp parallel for simd num_threads(threads) schedule(static)
  for (std::int64_t i = 0; i < count; ++i)
    out[i] = core::DIPTYCH_ISA::locally_biased(static_cast<F>(a[i]), static_cast<F>(b[i]), g, o);
}

template void biased(const std::int32_t*, const std::int32_t*, std::int64_t, double, double, float*, int);
template void biased(const float*, const float*, std::int64_t, double, double, float*, int);
template void biased(const double*, const double*, std::int64_t, double, double, double*, int);

}  // namespace diptych::cpu::DIPTYCH_ISA
