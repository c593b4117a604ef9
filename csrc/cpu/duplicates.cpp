#include "../core/row_hash.hpp"
#include "buffer.hpp"
#include "kernels.hpp"

namespace diptych::cpu::DIPTYCH_ISA {

template <class F>
bool duplicates(const F* x, std::int64_t n, std::int64_t d, std::int64_t* groups, int threads) {
  using namespace core::DIPTYCH_ISA;
  const Buffer<std::uint64_t> hashes(n);
#pragma omp parallel for num_threads(n * d < kWorthThreads ? 1 : threads) schedule(static)
  for (std::int64_t i = 0; i < n; ++i) hashes[i] = row_hash(x + i * d, d);

  // Open addressing: a place holds the first item of a group, found by hash and verified by its numbers.
  std::uint64_t places = 4;
  while (places < 2 * static_cast<std::uint64_t>(n)) places *= 2;
  const Buffer<std::int64_t> table(places);
  for (std::uint64_t place = 0; place < places; ++place) table[place] = -1;
  bool found = false;
  for (std::int64_t i = 0; i < n; ++i) {
    groups[i] = -1;
    std::uint64_t place = hashes[i] & (places - 1);
    for (; table[place] >= 0; place = (place + 1) & (places - 1)) {
      const std::int64_t first = table[place];
      if (hashes[first] == hashes[i] && rows_equal(x + first * d, x + i * d, d)) {
        groups[first] = groups[i] = first;
        found = true;
        break;
      }
    }
    if (groups[i] < 0) table[place] = i;
  }
  return found;
}

template bool duplicates(const float*, std::int64_t, std::int64_t, std::int64_t*, int);
template bool duplicates(const double*, std::int64_t, std::int64_t, std::int64_t*, int);

}  // namespace diptych::cpu::DIPTYCH_ISA
