// Centring and the search for equal rows, at the instruction set in use.
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "../core/row_hash.hpp"
#include "../cpu/dispatch.hpp"
#include "check.hpp"
#include "data.hpp"

namespace {

using namespace diptych::tests;
using diptych::cpu::operations;

std::vector<std::int64_t> groups_by_definition(const std::vector<double>& x, std::int64_t n, std::int64_t d) {
  std::vector<std::int64_t> groups(n, -1);
  for (std::int64_t i = 0; i < n; ++i)
    for (std::int64_t j = 0; j < n && groups[i] < 0; ++j) {
      bool same = i != j;
      for (std::int64_t c = 0; c < d; ++c) same = same && x[i * d + c] == x[j * d + c];
      if (same) groups[i] = i < j ? i : j;
    }
  return groups;
}

// Two rows of five numbers with one hash: only the first and the last number are summed together, so a change of
// the first can be made good by the bits of the last.
std::vector<double> colliding_rows() {
  using namespace diptych::core::DIPTYCH_ISA;
  const auto step = [](double value) {
    std::uint64_t sum = (std::uint64_t(1) ^ hash_bits(value)) * 0x9E3779B97F4A7C15u;
    return sum ^ (sum >> 32);
  };
  for (double first = 2;; ++first) {
    const std::uint64_t bits = hash_bits(7.0) ^ step(1.0) ^ step(first);
    double last;
    std::memcpy(&last, &bits, sizeof last);
    if (std::isfinite(last)) return {1, 0, 0, 0, 7, first, 0, 0, 0, last};
  }
}

}  // namespace

TEST(duplicates_are_found_whatever_their_hash) {
  for (const std::int64_t n : {1, 2, 3, 9, 33, 257})
    for (const std::int64_t d : {1, 2, 7}) {
      std::vector<double> x(n * d);
      for (std::int64_t i = 0; i < n * d; ++i) x[i] = (i * 7919 % 13) % (d == 1 ? 13 : 3) - 1;
      if (n > 1) x[d] = -0.0;
      std::vector<std::int64_t> groups(n, 99);
      const bool found = operations().duplicates_f64(x.data(), n, d, groups.data(), 2);
      CHECK(groups == groups_by_definition(x, n, d), std::to_string(n) + " x " + std::to_string(d));
      bool any = false;
      for (const std::int64_t group : groups) any = any || group >= 0;
      CHECK(found == any, std::to_string(n));
    }
}

TEST(rows_whose_hashes_collide_are_told_apart) {
  using namespace diptych::core::DIPTYCH_ISA;
  std::vector<double> x = colliding_rows();
  CHECK(row_hash(x.data(), 5) == row_hash(x.data() + 5, 5), "the rows were made to collide");
  x.insert(x.end(), {1, 0, 0, 0, 7});
  std::vector<std::int64_t> groups(3);
  CHECK(operations().duplicates_f64(x.data(), 3, 5, groups.data(), 1), "rows 0 and 2");
  CHECK(groups == std::vector<std::int64_t>({0, -1, 0}), "row 1 has no equal");
}

TEST(centring_keeps_integers_and_multiples_exact) {
  const std::int64_t n = 33, d = 19;
  std::vector<float> x(n * d), centred(n * d);
  for (std::int64_t i = 0; i < n; ++i)
    for (std::int64_t c = 0; c < d; ++c) x[i * d + c] = c == 3 ? 5.5f : static_cast<float>(1000 + (i * c) % 29);
  operations().shift_to_center_f32(x.data(), n, d, centred.data(), 2);
  for (std::int64_t i = 0; i < n; ++i)
    for (std::int64_t c = 0; c < d; ++c) {
      const float shift = x[i * d + c] - centred[i * d + c], value = centred[i * d + c];
      CHECK(shift == x[c] - centred[c], "one point for the whole column");
      CHECK(c == 3 ? value == 0 : std::rint(value) == value && std::fabs(value) < 29, std::to_string(value));
    }
  const float infinity = std::numeric_limits<float>::infinity();
  x.assign({1, infinity, 2, 3});
  operations().shift_to_center_f32(x.data(), 2, 2, centred.data(), 1);
  CHECK(centred[1] == infinity && centred[3] == 3, "a column without a mean stays as it is");
}

TEST(symmetric_range_sees_every_entry_and_its_mirror_image) {
  for (const std::int64_t n : {1, 2, 63, 64, 65, 200}) {
    std::vector<float> matrix(n * n);
    for (std::int64_t i = 0; i < n; ++i)
      for (std::int64_t j = 0; j < n; ++j) matrix[i * n + j] = 1.0f + static_cast<float>((i + j) % 7);
    for (const std::int64_t place : {std::int64_t(0), n * n / 2, n * n - 1}) {
      std::vector<float> bounds(3), changed = matrix;
      changed[place] = -3;
      operations().symmetric_range_f32(changed.data(), n, bounds.data(), 2);
      float low = 99, high = -99, gap = 0;
      for (std::int64_t i = 0; i < n; ++i)
        for (std::int64_t j = 0; j < n; ++j) {
          low = std::fmin(low, changed[i * n + j]);
          high = std::fmax(high, changed[i * n + j]);
          gap = std::fmax(gap, std::fabs(changed[i * n + j] - changed[j * n + i]));
        }
      CHECK(bounds == std::vector<float>({low, high, gap}), std::to_string(n));
      for (const float strange : {std::nanf(""), std::numeric_limits<float>::infinity()}) {
        changed[place] = strange;
        operations().symmetric_range_f32(changed.data(), n, bounds.data(), 1);
        CHECK(std::isnan(bounds[1]), "not finite at " + std::to_string(place));
      }
    }
  }
}
