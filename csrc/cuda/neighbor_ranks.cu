// A row is ranked by one block, which reads it once and writes its ranks once: 8 n^2 bytes for float32. Rows
// that fit wait in shared memory meanwhile; longer ones are read again, mostly from the second-level cache.
#include <stdexcept>

#include "../core/distance.hpp"
#include "../core/rank_team.hpp"
#include "block_team.cuh"
#include "ops.hpp"

namespace diptych::cuda {

namespace {

using namespace core::DIPTYCH_ISA;

struct Plan {
  int threads;
  bool staged;
  std::size_t shared_bytes;
};

// About two bins per item, up to 16,384 bins of a block of 1,024 threads.
template <class F>
Plan plan_for(std::int64_t n) {
  int threads = 128;
  while (threads < 1024 && threads * std::int64_t(10) < n) threads *= 2;
  const std::size_t counts = std::size_t(threads) * (kTeamShare + 2) * sizeof(std::uint32_t);
  int device = 0, most = 0;
  check(cudaGetDevice(&device), "neighbor_ranks: device");
  check(cudaDeviceGetAttribute(&most, cudaDevAttrMaxSharedMemoryPerBlockOptin, device),
        "neighbor_ranks: shared memory");
  const std::size_t row = static_cast<std::size_t>(n) * (sizeof(F) + sizeof(std::uint16_t));
  const bool staged = n <= 65535 && counts + row <= static_cast<std::size_t>(most);
  return {threads, staged, counts + (staged ? row : 0)};
}

// rows (rows, n): distances, or with norms (n,) inner products. Without room in shared memory, products are
// overwritten by squared distances, and `workspace` holds the items.
template <class F, class Item, bool staged>
__global__ void __launch_bounds__(1024)
    ranks_kernel(F* rows, const F* norms, std::int64_t n, std::int64_t first_row, Item* workspace,
                 std::int32_t* ranks) {
  extern __shared__ unsigned long long shared[];
  const BlockTeam team;
  auto* counts = reinterpret_cast<std::uint32_t*>(shared);
  auto* partial = counts + kTeamShare * team.size();
  const std::int64_t block = blockIdx.x, self = first_row + block;
  F* row = rows + block * n;
  Item* items = workspace + block * n;
  if (staged || norms != nullptr) {
    F* values = row;
    if (staged) {
      values = reinterpret_cast<F*>(partial + 2 * team.size());
      items = reinterpret_cast<Item*>(values + n);
    }
    for (std::int64_t j = team.rank(); j < n; j += team.size())
      values[j] = norms == nullptr ? row[j] : squared_distance(norms[self], norms[j], row[j]);
    row = values;
    team.sync();
  }
  team_rank_row(team, static_cast<const F*>(row), n, self, RankTeamMemory<Item>{items, counts, partial},
                ranks + block * n);
}

template <class F, class Item, bool staged>
void launch(F* rows_of_values, const F* norms, std::int64_t rows, std::int64_t n, std::int64_t first_row,
            void* workspace, std::int32_t* ranks, const Plan& plan, cudaStream_t stream) {
  const auto kernel = ranks_kernel<F, Item, staged>;
  check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                             static_cast<int>(plan.shared_bytes)),
        "neighbor_ranks: shared memory");
  kernel<<<static_cast<unsigned>(rows), plan.threads, plan.shared_bytes, stream>>>(
      rows_of_values, norms, n, first_row, static_cast<Item*>(workspace), ranks);
  check(cudaGetLastError(), "neighbor_ranks");
}

}  // namespace

template <class F>
std::size_t ranks_workspace(std::int64_t rows, std::int64_t n) {
  return plan_for<F>(n).staged ? 0 : static_cast<std::size_t>(rows) * n * sizeof(std::uint32_t);
}

template <class F>
void ranks(F* values, const F* norms, std::int64_t rows, std::int64_t n, std::int64_t first_row,
           std::int32_t* ranks, void* workspace, std::size_t workspace_bytes, cudaStream_t stream) {
  if (rows == 0 || n == 0) return;
  if (ranks_workspace<F>(rows, n) > workspace_bytes)
    throw std::runtime_error("neighbor_ranks: workspace too small");
  const Plan plan = plan_for<F>(n);
  if (plan.staged)
    launch<F, std::uint16_t, true>(values, norms, rows, n, first_row, workspace, ranks, plan, stream);
  else
    launch<F, std::uint32_t, false>(values, norms, rows, n, first_row, workspace, ranks, plan, stream);
}

template std::size_t ranks_workspace<float>(std::int64_t, std::int64_t);
template std::size_t ranks_workspace<double>(std::int64_t, std::int64_t);
template void ranks(float*, const float*, std::int64_t, std::int64_t, std::int64_t, std::int32_t*, void*,
                    std::size_t, cudaStream_t);
template void ranks(double*, const double*, std::int64_t, std::int64_t, std::int64_t, std::int32_t*, void*,
                    std::size_t, cudaStream_t);

}  // namespace diptych::cuda
