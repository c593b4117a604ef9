// What threads that solve one problem together have in common: a block on a GPU; in the tests, OpenMP
// threads on the CPU, so that the code which a GPU runs is tested where there is none.
//
// A team offers rank() and size() of its threads (a power of two), sync(), which all of them reach, and
// add(), an atomic addition that returns the old value. Results do not depend on the threads' order.
#pragma once

#include <cstdint>

#include "macros.hpp"

namespace diptych::core::DIPTYCH_ISA {

// Combines every thread's value; all threads receive the result. `partial` has room for one each. The
// order of combination is fixed.
template <class Team, class T, class Combine>
DIPTYCH_HD inline T team_reduce(const Team& team, T value, Combine combine, T* partial) {
  const int rank = team.rank();
  partial[rank] = value;
  team.sync();
  for (int half = team.size() / 2; half > 0; half /= 2) {
    if (rank < half) partial[rank] = combine(partial[rank], partial[rank + half]);
    team.sync();
  }
  const T result = partial[0];
  team.sync();
  return result;
}

// Numbers that each thread holds of those that team_accumulate adds up.
constexpr int kTeamShare = 16;

// Where number `index` of kTeamShare * size is kept: a thread's own share lies one team apart, so that
// threads side by side reach for memory side by side.
DIPTYCH_HD inline int team_place(int index, int size) {
  return index % kTeamShare * size + index / kTeamShare;
}

// Turns kTeamShare * size counts, kept as team_place says, into the sums of those before each; returns the
// sum of the calling thread's squared counts. `partial` has room for two numbers per thread.
// Scan of the threads' sums after Hillis & Steele 1986.
template <class Team>
DIPTYCH_HD inline std::uint64_t team_accumulate(const Team& team, std::uint32_t* counts,
                                                std::uint32_t* partial) {
  const int rank = team.rank(), size = team.size();
  std::uint32_t sum = 0;
  std::uint64_t squares = 0;
  for (int step = 0; step < kTeamShare; ++step) {
    const std::uint32_t here = counts[step * size + rank];
    counts[step * size + rank] = sum;
    sum += here;
    squares += static_cast<std::uint64_t>(here) * here;
  }
  std::uint32_t *from = partial, *to = partial + size;
  from[rank] = sum;
  team.sync();
  for (int gap = 1; gap < size; gap *= 2) {
    to[rank] = from[rank] + (rank >= gap ? from[rank - gap] : 0);
    team.sync();
    std::uint32_t* const done = to;
    to = from;
    from = done;
  }
  const std::uint32_t before = rank > 0 ? from[rank - 1] : 0;
  for (int step = 0; step < kTeamShare; ++step) counts[step * size + rank] += before;
  team.sync();
  return squares;
}

// A number and the item it belongs to; item -1 is none.
template <class F>
struct Candidate {
  F value;
  std::int64_t item;
};

// Of two candidates the larger, on a tie the one of lower index.
template <class F>
struct Larger {
  DIPTYCH_HD Candidate<F> operator()(const Candidate<F>& a, const Candidate<F>& b) const {
    if (a.item < 0) return b;
    if (b.item < 0) return a;
    return b.value > a.value || (b.value == a.value && b.item < a.item) ? b : a;
  }
};

struct Sum {
  template <class T>
  DIPTYCH_HD T operator()(const T& a, const T& b) const {
    return a + b;
  }
};

}  // namespace diptych::core::DIPTYCH_ISA
