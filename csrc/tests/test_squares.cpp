// Scenes of squares: the operations at the instruction set this process runs and the core as a device thread
// compiles it, against definitions pixel by pixel and place by place.
#define DIPTYCH_ISA device_like
#include "../core/place_squares.hpp"
#undef DIPTYCH_ISA

#include "../cpu/dispatch.hpp"
#include "check.hpp"
#include "data.hpp"

using namespace diptych::tests;
namespace device = diptych::core::device_like;
using diptych::core::SceneLaw;
using diptych::core::Square;
using diptych::cpu::operations;
using diptych::cpu::Operations;

namespace {

constexpr Square kNone{-1, -1, -1, -1};

std::vector<Square> any_squares(std::int64_t count, std::int32_t size, std::uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<Square> squares(count, kNone);
  for (Square& square : squares) {
    if (random() % 3 == 0) continue;
    square.side = 1 + static_cast<std::int32_t>(random() % size);
    square.x = static_cast<std::int32_t>(random() % (size - square.side + 1));
    square.y = static_cast<std::int32_t>(random() % (size - square.side + 1));
    square.contrast = 1 + static_cast<std::int32_t>(random() % 65535);
  }
  return squares;
}

// As is_free, from the pixels between: some row or column apart by the clearance.
bool apart(const Square& a, const Square& b, std::int32_t clearance) {
  const auto gap = [](std::int32_t p, std::int32_t side_p, std::int32_t q, std::int32_t side_q) {
    return std::max(q - (p + side_p), p - (q + side_q));
  };
  return std::max(gap(a.x, a.side, b.x, b.side), gap(a.y, a.side, b.y, b.side)) >= clearance;
}

struct Placed {
  std::vector<Square> squares;
  std::vector<std::int32_t> counts, placed;
};

Placed place(const SceneLaw& law, std::int64_t n, std::int64_t k, int threads) {
  Placed result{std::vector<Square>(n * k, Square{7, 7, 7, 7}), {}, std::vector<std::int32_t>(n, -7)};
  std::vector<std::int64_t> index;
  for (std::int64_t i = 0; i < n; ++i) {
    result.counts.push_back(static_cast<std::int32_t>(i % (k + 1)));
    index.push_back(i * 1000003);
  }
  operations().place_squares(result.counts.data(), index.data(), n, k, law, result.squares.data(),
                             result.placed.data(), threads);
  return result;
}

bool same(const Square& a, const Square& b) {
  return a.x == b.x && a.y == b.y && a.side == b.side && a.contrast == b.contrast;
}

const SceneLaw kLaws[] = {
    {244, 10, 30, 3, 6425, 65535, 1311, 3, 100, 1},
    {40, 6, 7, 1, 65535, 65535, 0, 1, 100, 2},
    {33, 1, 9, 0, 1, 65535, 65535, 0, 100, 3},
};

// Twice the area of a hull by monotone chains.
std::int64_t chain_area(const Square* squares, std::int64_t k) {
  std::vector<std::pair<std::int64_t, std::int64_t>> points;
  for (std::int64_t j = 0; j < k; ++j)
    for (int corner = 0; corner < 4 && squares[j].side > 0; ++corner)
      points.emplace_back(squares[j].x + (corner & 1) * squares[j].side,
                          squares[j].y + (corner >> 1) * squares[j].side);
  std::sort(points.begin(), points.end());
  std::int64_t area = 0;
  for (int turn = 0; turn < 2; ++turn) {
    std::vector<std::pair<std::int64_t, std::int64_t>> hull;
    for (const auto& p : points) {
      while (hull.size() > 1) {
        const auto &a = hull[hull.size() - 2], &b = hull.back();
        if ((b.first - a.first) * (p.second - a.second) > (b.second - a.second) * (p.first - a.first)) break;
        hull.pop_back();
      }
      hull.push_back(p);
    }
    for (std::size_t i = 1; i < hull.size(); ++i)
      area += hull[i - 1].first * hull[i].second - hull[i].first * hull[i - 1].second;
    std::reverse(points.begin(), points.end());
  }
  return area;
}

template <class P>
void check_drawing(Operations::DrawSquares<P> draw, P full) {
  for (const std::int32_t size : {1, 2, 4, 7, 8, 33, 60})
    for (const std::int64_t k : {1, 3, 40}) {
      const std::int64_t n = 5, pixels = static_cast<std::int64_t>(size) * size;
      std::vector<Square> squares = any_squares(n * k, size, static_cast<std::uint32_t>(size));
      // What lies outside, by little and by far, is not drawn.
      squares[0] = {-1, 0, 1, 9};
      squares[k] = {0, std::numeric_limits<std::int32_t>::max(), std::numeric_limits<std::int32_t>::max(), 9};
      std::vector<P> wanted(n * pixels, P(0));
      for (std::int64_t i = 0; i < n; ++i)
        for (std::int64_t j = i < 2; j < k; ++j) {
          const Square& square = squares[i * k + j];
          for (std::int32_t y = square.y; y < square.y + square.side; ++y)
            for (std::int32_t x = square.x; x < square.x + square.side; ++x)
              wanted[i * pixels + y * size + x] = device::shade<P>(square.contrast);
        }
      // At the vectors' own alignment and just beside it; what is around stays.
      for (const int shift : {16, 17})
        for (const int threads : {1, 2}) {
          std::vector<P> room(n * pixels + 64, P(77));
          draw(squares.data(), n, k, size, room.data() + shift, threads);
          CHECK(std::equal(wanted.begin(), wanted.end(), room.begin() + shift), std::to_string(size));
          CHECK(std::count(room.begin(), room.begin() + shift, P(77)) == shift);
          CHECK(std::count(room.begin() + shift + n * pixels, room.end(), P(77)) == 64 - shift);
        }
    }
  CHECK(device::shade<P>(65535) == full);
  CHECK(device::shade<P>(0) == P(0));
}

}  // namespace

TEST(counter_numbers_below_a_bound_cover_it) {
  using device::below;
  for (const std::int32_t count : {1, 2, 3, 244, 65535}) {
    CHECK(below(std::uint32_t(0), count) == 0);
    CHECK(below(~std::uint32_t(0), count) == count - 1);
    CHECK(below(std::uint64_t(0), std::int64_t(count)) == 0);
    CHECK(below(~std::uint64_t(0), std::int64_t(count)) == count - 1);
  }
  const std::int64_t most = (std::int64_t(1) << 32) - 1;
  CHECK(below(~std::uint64_t(0), most) == most - 1);
  // The upper half of the product, to the last bit: 2^63 is half of everything.
  CHECK(below(std::uint64_t(1) << 63, std::int64_t(7)) == 3);
  CHECK(below((std::uint64_t(1) << 63) - 1, std::int64_t(8)) == 3);
}

TEST(placed_squares_are_inside_and_apart_whatever_the_threads) {
  for (const SceneLaw& law : kLaws) {
    const std::int64_t n = 60, k = law.size == 40 ? 12 : 7;
    const Placed one = place(law, n, k, 1), two = place(law, n, k, 2);
    CHECK(one.placed == one.counts && two.placed == two.counts);
    for (std::int64_t i = 0; i < n; ++i) {
      const Square* scene = &one.squares[i * k];
      for (std::int64_t j = 0; j < k; ++j) {
        CHECK(same(scene[j], two.squares[i * k + j]));
        CHECK(device::is_there(scene[j]) == (j < one.counts[i]));
        CHECK(device::is_within(scene[j], law.size));
        for (std::int64_t other = 0; other < j && j < one.counts[i]; ++other)
          CHECK(apart(scene[j], scene[other], law.clearance));
      }
    }
  }
}

TEST(device_threads_place_the_same_squares) {
  for (const SceneLaw& law : kLaws) {
    const std::int64_t n = 40, k = 6;
    const Placed placed = place(law, n, k, 1);
    for (std::int64_t i = 0; i < n; ++i) {
      std::vector<Square> scene(k);
      const auto index = static_cast<std::uint64_t>(i * 1000003);
      CHECK(device::place_scene(law, index, placed.counts[i], k, scene.data()) == placed.counts[i]);
      for (std::int64_t j = 0; j < k; ++j) CHECK(same(scene[j], placed.squares[i * k + j]));
    }
  }
}

TEST(a_scene_without_room_is_left_empty_and_says_how_many_fitted) {
  const SceneLaw law{8, 2, 2, 0, 9, 9, 0, 3, 300, 5};  // four corners
  std::vector<Square> scene(6, Square{1, 1, 1, 1});
  CHECK(device::place_scene(law, 0, 5, 6, scene.data()) == 4);
  for (const Square& square : scene) CHECK(same(square, kNone));
  const SceneLaw full{5, 5, 5, 0, 9, 9, 0, 0, 1, 5};
  CHECK(device::place_scene(full, 0, 2, 6, scene.data()) == 1);
  CHECK(device::place_scene(full, 0, 0, 6, scene.data()) == 0);
}

TEST(the_walk_finds_every_free_place_once) {
  for (std::uint32_t seed = 0; seed < 20; ++seed) {
    const std::int32_t size = 20 + static_cast<std::int32_t>(seed), clearance = static_cast<std::int32_t>(seed % 4);
    const SceneLaw law{size, 1, 9, 0, 9, 9, 0, clearance, 1, seed};
    std::vector<Square> squares = any_squares(6, size / 3, seed);
    for (Square& square : squares)
      if (square.side < 0) square = {0, 0, 1, 1};
    Square last{0, 0, 1 + static_cast<std::int32_t>(seed % 9), 9};
    std::vector<std::pair<std::int32_t, std::int32_t>> wanted;
    for (last.y = 0; last.y <= size - last.side; ++last.y)
      for (last.x = 0; last.x <= size - last.side; ++last.x)
        if (std::all_of(squares.begin(), squares.end(),
                        [&](const Square& other) { return apart(last, other, clearance); }))
          wanted.emplace_back(last.x, last.y);
    const auto free = device::walk_free(law, squares.data(), 6, -1, last);
    CHECK(free == static_cast<std::int64_t>(wanted.size()), std::to_string(free));
    for (std::int64_t place = 0; place < free; ++place) {
      device::walk_free(law, squares.data(), 6, place, last);
      CHECK(std::make_pair(last.x, last.y) == wanted[place]);
      CHECK(device::is_free(squares.data(), 6, last.side, clearance, last.x, last.y));
    }
  }
}

TEST(drawn_pixels_are_those_of_the_definition_in_float) {
  check_drawing<float>(operations().draw_squares_f32, 1.0f);
}
TEST(drawn_pixels_are_those_of_the_definition_in_bytes) {
  check_drawing<std::uint8_t>(operations().draw_squares_u8, 255);
}

TEST(runs_of_pixels_are_what_the_operation_draws) {
  const std::int32_t size = 12;
  const std::vector<Square> squares = any_squares(20, size, 4);
  std::vector<float> image(size * size), pixel(1), run(4);
  operations().draw_squares_f32(squares.data(), 1, 20, size, image.data(), 1);
  std::vector<Square> there;
  for (const Square& square : squares)
    if (device::is_there(square)) there.push_back(square);
  const int count = static_cast<int>(there.size());
  for (std::int32_t y = 0; y < size; ++y)
    for (std::int32_t x = 0; x < size; ++x) {
      device::draw_run<float, 1>(there.data(), count, x, y, pixel.data());
      CHECK(pixel[0] == image[y * size + x]);
      if (x % 4 > 0) continue;
      device::draw_run<float, 4>(there.data(), count, x, y, run.data());
      CHECK(std::equal(run.begin(), run.end(), image.begin() + y * size + x));
    }
}

TEST(covariates_of_squares_are_exact) {
  for (const std::int64_t k : {1, 2, 5, 33}) {
    const std::int64_t n = 700;
    const std::int32_t size = 30;
    const std::vector<Square> squares = any_squares(n * k, size, static_cast<std::uint32_t>(k));
    std::vector<double> found(3 * n), alone(3 * n);
    operations().square_covariates(squares.data(), n, k, size, found.data(), 2);
    operations().square_covariates(squares.data(), n, k, size, alone.data(), 1);
    CHECK(found == alone, "threads changed the result");
    for (std::int64_t i = 0; i < n; ++i) {
      double area = 0, light = 0;
      for (std::int64_t j = 0; j < k; ++j) {
        const Square& square = squares[i * k + j];
        if (square.side < 0) continue;
        area += square.side * square.side;
        light += static_cast<double>(square.side * square.side) * square.contrast;
      }
      CHECK(found[3 * i] == light / (900.0 * 65535));
      CHECK(found[3 * i + 1] == area);
      CHECK(found[3 * i + 2] == chain_area(&squares[i * k], k) / 2.0, std::to_string(found[3 * i + 2]));
    }
  }
}

TEST(squares_that_lie_outside_do_not_count) {
  const std::int32_t low = std::numeric_limits<std::int32_t>::min(), most = std::numeric_limits<std::int32_t>::max();
  const Square squares[] = {{2, 3, 4, 65535},     {low, low, most, 1},  {most, most, most, most}, {-1, 3, 4, 5},
                            {27, 0, 4, 65535},    {0, 0, 2, 0},         {most, low, 1, 5},        {0, 0, most, 5},
                            {low, low, low, low}, {0, 0, 2, 65536},     {0, most, 3, 3}};
  double found[3];
  operations().square_covariates(squares, 1, 11, 30, found, 1);
  CHECK(found[0] == 16.0 / 900 && found[1] == 16 && found[2] == 16, std::to_string(found[2]));
}

TEST(the_first_misplaced_square_is_found) {
  std::vector<Square> squares = any_squares(20000, 50, 1);
  CHECK(operations().first_misplaced(squares.data(), 20000, 50, 2) == -1);
  const std::int32_t most = std::numeric_limits<std::int32_t>::max();
  for (const Square& wrong : {Square{-1, 0, 2, 3}, Square{0, 49, 2, 3}, Square{0, 0, 51, 3}, Square{0, 0, 2, 0},
                              Square{0, 0, 2, 65536}, Square{most, 0, 2, 3}, Square{0, 0, most, 3},
                              Square{-1, -1, 0, -1}, Square{0, -1, -1, -1}}) {
    squares[17000] = squares[12345] = wrong;
    CHECK(operations().first_misplaced(squares.data(), 20000, 50, 2) == 12345);
  }
}
