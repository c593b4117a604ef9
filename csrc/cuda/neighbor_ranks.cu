#include <cub/device/device_segmented_radix_sort.cuh>
#include <stdexcept>
#include <thrust/iterator/counting_iterator.h>
#include <thrust/iterator/transform_iterator.h>

#include "../core/rank_row.hpp"
#include "ops.hpp"

namespace diptych::cuda {

namespace {

using namespace core::DIPTYCH_ISA;

template <class Key>
__global__ void make_keys(const typename std::conditional<sizeof(Key) == 4, float, double>::type* distances,
                          std::int64_t rows, std::int64_t n, std::int64_t first_row, Key* keys,
                          std::int32_t* items) {
  const std::int64_t stride = std::int64_t(gridDim.x) * blockDim.x;
  for (std::int64_t i = std::int64_t(blockIdx.x) * blockDim.x + threadIdx.x; i < rows * n; i += stride) {
    const std::int64_t row = i / n, column = i % n;
    keys[i] = column == first_row + row ? Key(0) : order_key(distances[i]);
    items[i] = static_cast<std::int32_t>(column);
  }
}

__global__ void scatter_ranks(const std::int32_t* sorted, std::int64_t rows, std::int64_t n,
                              std::int32_t* ranks) {
  const std::int64_t stride = std::int64_t(gridDim.x) * blockDim.x;
  for (std::int64_t i = std::int64_t(blockIdx.x) * blockDim.x + threadIdx.x; i < rows * n; i += stride)
    ranks[i / n * n + sorted[i]] = static_cast<std::int32_t>(i % n);
}

struct RowStart {
  std::int64_t n;
  __host__ __device__ std::int64_t operator()(std::int64_t row) const { return row * n; }
};

// Memory of one block: keys and items, each twice, and what CUB asks for.
template <class Key>
struct Workspace {
  Key *keys, *sorted_keys;
  std::int32_t *items, *sorted_items;
  void* cub;
  std::size_t cub_bytes, bytes;

  Workspace(void* memory, std::int64_t rows, std::int64_t n) {
    const std::size_t count = static_cast<std::size_t>(rows) * n;
    char* p = static_cast<char*>(memory);
    const auto take = [&](std::size_t size) {
      char* here = p;
      p += (size + 255) / 256 * 256;
      return here;
    };
    keys = reinterpret_cast<Key*>(take(count * sizeof(Key)));
    sorted_keys = reinterpret_cast<Key*>(take(count * sizeof(Key)));
    items = reinterpret_cast<std::int32_t*>(take(count * sizeof(std::int32_t)));
    sorted_items = reinterpret_cast<std::int32_t*>(take(count * sizeof(std::int32_t)));
    cub_bytes = 0;
    cub = nullptr;
    check(sort(rows, n, nullptr), "neighbor_ranks: size of the sort's workspace");
    cub = take(cub_bytes);
    bytes = static_cast<std::size_t>(p - static_cast<char*>(memory));
  }

  cudaError_t sort(std::int64_t rows, std::int64_t n, cudaStream_t stream) {
    const auto starts =
        thrust::make_transform_iterator(thrust::counting_iterator<std::int64_t>(0), RowStart{n});
    return cub::DeviceSegmentedRadixSort::SortPairs(cub, cub_bytes, keys, sorted_keys, items, sorted_items,
                                                    rows * n, rows, starts, starts + 1, 0,
                                                    8 * static_cast<int>(sizeof(Key)), stream);
  }
};

unsigned blocks_for(std::int64_t count) {
  const std::int64_t blocks = (count + 255) / 256, most = 1 << 20;
  return static_cast<unsigned>(blocks < most ? blocks : most);
}

}  // namespace

template <class F>
std::size_t ranks_workspace(std::int64_t rows, std::int64_t n) {
  return Workspace<typename KeyOf<F>::type>(nullptr, rows, n).bytes;
}

template <class F>
void ranks(const F* distances, std::int64_t rows, std::int64_t n, std::int64_t first_row,
           std::int32_t* ranks, void* workspace, std::size_t workspace_bytes, cudaStream_t stream) {
  using Key = typename KeyOf<F>::type;
  if (rows == 0 || n == 0) return;
  Workspace<Key> memory(workspace, rows, n);
  if (memory.bytes > workspace_bytes) throw std::runtime_error("neighbor_ranks: workspace too small");
  const unsigned blocks = blocks_for(rows * n);
  make_keys<Key><<<blocks, 256, 0, stream>>>(distances, rows, n, first_row, memory.keys, memory.items);
  check(cudaGetLastError(), "neighbor_ranks: keys");
  check(memory.sort(rows, n, stream), "neighbor_ranks: sort");
  scatter_ranks<<<blocks, 256, 0, stream>>>(memory.sorted_items, rows, n, ranks);
  check(cudaGetLastError(), "neighbor_ranks: scatter");
}

template std::size_t ranks_workspace<float>(std::int64_t, std::int64_t);
template std::size_t ranks_workspace<double>(std::int64_t, std::int64_t);
template void ranks(const float*, std::int64_t, std::int64_t, std::int64_t, std::int32_t*, void*,
                    std::size_t, cudaStream_t);
template void ranks(const double*, std::int64_t, std::int64_t, std::int64_t, std::int32_t*, void*,
                    std::size_t, cudaStream_t);

}  // namespace diptych::cuda
