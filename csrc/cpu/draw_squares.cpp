#include <cstring>

#include "../core/squares.hpp"
#include "kernels.hpp"

namespace diptych::cpu::DIPTYCH_ISA {

namespace {

using core::Square;

// The square over the whole of an image that is in cache.
template <class P>
void draw(const Square& square, std::int32_t size, P* image) {
  const P value = core::DIPTYCH_ISA::shade<P>(square.contrast);
  for (std::int32_t y = square.y; y < square.y + square.side; ++y) {
    P* row = image + static_cast<std::int64_t>(y) * size + square.x;
    for (std::int32_t x = 0; x < square.side; ++x) row[x] = value;
  }
}

}  // namespace

template <class P>
void draw_squares(const Square* squares, std::int64_t n, std::int64_t k, std::int32_t size, P* images,
                  int threads) {
  const std::int64_t pixels = static_cast<std::int64_t>(size) * size;
#pragma omp parallel for num_threads(n * pixels < 8 * kWorthThreads ? 1 : threads) schedule(static)
  for (std::int64_t i = 0; i < n; ++i) {
    P* image = images + i * pixels;
    std::memset(image, 0, sizeof(P) * pixels);
    for (std::int64_t j = 0; j < k; ++j)
      if (core::DIPTYCH_ISA::is_there(squares[i * k + j])) draw(squares[i * k + j], size, image);
  }
}

template void draw_squares(const Square*, std::int64_t, std::int64_t, std::int32_t, float*, int);
template void draw_squares(const Square*, std::int64_t, std::int64_t, std::int32_t, std::uint8_t*, int);

}  // namespace diptych::cpu::DIPTYCH_ISA
