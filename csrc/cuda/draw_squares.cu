// One block per band of rows: it holds the few squares that cross the band, and writes every pixel once, several
// at a time. 4 size^2 bytes written per image of floats, size^2 of bytes; nothing is read but the squares.
#include "../core/squares.hpp"
#include "ops.hpp"

namespace diptych::cuda {

namespace {

using namespace core::DIPTYCH_ISA;
using core::kMaxSquares;
using core::Square;

constexpr int kThreads = 256;
constexpr int kWarp = 32;

// Rows of a band: of 244 pixels, four stores to a thread.
constexpr std::int32_t kRows = 16;

template <class P, int width>
struct alignas(sizeof(P) * width) Run {
  P pixels[width];
};

// Writes the squares that cross rows first to last - 1 to `held`, in their order; returns how many. A warp's work.
__device__ int crossing(const Square* squares, std::int64_t k, std::int32_t size, std::int32_t first,
                        std::int32_t last, Square* held) {
  const int lane = static_cast<int>(threadIdx.x);
  int count = 0;
  for (std::int64_t base = 0; base < k; base += kWarp) {
    Square square{-1, -1, -1, -1};
    if (base + lane < k) square = squares[base + lane];
    const bool crosses = is_shown(square, size) && square.y < last && square.y + square.side > first;
    const unsigned all = __ballot_sync(0xffffffffu, crosses);
    if (crosses) held[count + __popc(all & ((1u << lane) - 1))] = square;
    count += __popc(all);
  }
  return count;
}

template <class P, int width>
__global__ void __launch_bounds__(kThreads)
    draw_kernel(const Square* squares, std::int64_t k, std::int32_t size, std::int32_t bands, P* images) {
  __shared__ Square held[kMaxSquares];
  __shared__ int count;
  const std::int64_t image = blockIdx.x / bands;
  const std::int32_t first = static_cast<std::int32_t>(blockIdx.x % bands) * kRows;
  const std::int32_t last = first + kRows < size ? first + kRows : size;
  if (threadIdx.x < kWarp) {
    const int crossed = crossing(squares + image * k, k, size, first, last, held);
    if (threadIdx.x == 0) count = crossed;
  }
  __syncthreads();
  const std::int32_t runs = size / width;
  P* const out = images + image * size * size;
  for (std::int32_t i = static_cast<std::int32_t>(threadIdx.x); i < (last - first) * runs; i += kThreads) {
    const std::int32_t y = first + i / runs, x = i % runs * width;
    Run<P, width> run;
    draw_run<P, width>(held, count, x, y, run.pixels);
    *reinterpret_cast<Run<P, width>*>(out + static_cast<std::int64_t>(y) * size + x) = run;
  }
}

}  // namespace

template <class P>
void draw_squares(const Square* squares, std::int64_t n, std::int64_t k, std::int32_t size, P* images,
                  cudaStream_t stream) {
  if (n == 0) return;
  constexpr int width = 4;
  const std::int32_t bands = (size + kRows - 1) / kRows;
  const auto blocks = static_cast<unsigned>(n * bands);
  if (size % width == 0 && reinterpret_cast<std::uintptr_t>(images) % sizeof(Run<P, width>) == 0)
    draw_kernel<P, width><<<blocks, kThreads, 0, stream>>>(squares, k, size, bands, images);
  else
    draw_kernel<P, 1><<<blocks, kThreads, 0, stream>>>(squares, k, size, bands, images);
  check(cudaGetLastError(), "draw_squares");
}

template void draw_squares(const Square*, std::int64_t, std::int64_t, std::int32_t, float*, cudaStream_t);
template void draw_squares(const Square*, std::int64_t, std::int64_t, std::int32_t, std::uint8_t*, cudaStream_t);

}  // namespace diptych::cuda
