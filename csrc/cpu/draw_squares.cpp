#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include <cstring>
#include <type_traits>

#include "../core/squares.hpp"
#include "kernels.hpp"

namespace diptych::cpu::DIPTYCH_ISA {

namespace {

using namespace core::DIPTYCH_ISA;
using core::kMaxSceneSize;
using core::kMaxSquares;
using core::Square;

template <class P>
void fill(P* row, std::int32_t count, P value) {
  for (std::int32_t x = 0; x < count; ++x) row[x] = value;
}

// The squares of a scene that are there.
struct Shown {
  Square squares[kMaxSquares];
  std::int32_t count = 0;

  Shown(const Square* all, std::int64_t k, std::int32_t size) {
    for (std::int64_t j = 0; j < k; ++j) {
      squares[count] = all[j];
      count += is_shown(all[j], size);
    }
  }
};

// The background, and the squares over it while it is in cache.
template <class P>
void draw_in_cache(const Shown& shown, std::int32_t size, P* image) {
  std::memset(image, 0, sizeof(P) * size * size);
  for (std::int32_t j = 0; j < shown.count; ++j) {
    const Square& square = shown.squares[j];
    for (std::int32_t y = square.y; y < square.y + square.side; ++y)
      fill(image + static_cast<std::int64_t>(y) * size + square.x, square.side, shade<P>(square.contrast));
  }
}

// Bytes that a streaming store writes at an address that is a multiple of them.
constexpr int kStreamed = 16;

// Writes a row past the caches, which then need not read what it replaces.
inline void stream(const float* row, std::int32_t size, float* out) {
#if defined(__SSE2__)
  for (std::int32_t x = 0; x < size; x += kStreamed / 4)
    _mm_stream_si128(reinterpret_cast<__m128i*>(out + x),
                     _mm_load_si128(reinterpret_cast<const __m128i*>(row + x)));
#else
  std::memcpy(out, row, sizeof(float) * size);
#endif
}

inline void finish_streams() {
#if defined(__SSE2__)
  _mm_sfence();
#endif
}

// Row by row: a row is made once for all those below it that are the same.
void draw_streamed(const Shown& shown, std::int32_t size, float* image) {
  alignas(64) float row[kMaxSceneSize];
  std::int32_t crossed[kMaxSquares];
  for (std::int32_t y = 0; y < size;) {
    std::int32_t next = size, count = 0;
    for (std::int32_t j = 0; j < shown.count; ++j) {
      const std::int32_t top = shown.squares[j].y, bottom = top + shown.squares[j].side;
      const std::int32_t change = top > y ? top : bottom > y ? bottom : size;
      next = change < next ? change : next;
      crossed[count] = j;
      count += (top <= y) & (bottom > y);
    }
    fill(row, size, 0.0f);
    for (std::int32_t c = 0; c < count; ++c) {
      const Square& square = shown.squares[crossed[c]];
      fill(row + square.x, square.side, shade<float>(square.contrast));
    }
    for (; y < next; ++y) stream(row, size, image + static_cast<std::int64_t>(y) * size);
  }
}

}  // namespace

template <class P>
void draw_squares(const Square* squares, std::int64_t n, std::int64_t k, std::int32_t size, P* images,
                  int threads) {
  const std::int64_t pixels = static_cast<std::int64_t>(size) * size;
  // Bytes are so few that a batch of images may stay in cache.
  const bool streamed = std::is_same_v<P, float> && size * sizeof(P) % kStreamed == 0 &&
                        reinterpret_cast<std::uintptr_t>(images) % kStreamed == 0;
#pragma omp parallel num_threads(n * pixels < 8 * kWorthThreads ? 1 : threads)
  {
#pragma omp for schedule(static)
    for (std::int64_t i = 0; i < n; ++i) {
      const Shown shown(squares + i * k, k, size);
      if constexpr (std::is_same_v<P, float>) {
        if (streamed) {
          draw_streamed(shown, size, images + i * pixels);
          continue;
        }
      }
      draw_in_cache(shown, size, images + i * pixels);
    }
    if (streamed) finish_streams();
  }
}

template void draw_squares(const Square*, std::int64_t, std::int64_t, std::int32_t, float*, int);
template void draw_squares(const Square*, std::int64_t, std::int64_t, std::int32_t, std::uint8_t*, int);

}  // namespace diptych::cpu::DIPTYCH_ISA
