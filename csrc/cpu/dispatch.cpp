#include "dispatch.hpp"

#include <pthread.h>

#include <atomic>
#include <cstdlib>
#include <stdexcept>

namespace diptych::cpu {

#define DIPTYCH_DECLARE_TABLE(isa) \
  namespace isa {                  \
  extern const Operations table;   \
  }
DIPTYCH_DECLARE_TABLE(portable)
#ifdef DIPTYCH_X86
DIPTYCH_DECLARE_TABLE(avx2)
DIPTYCH_DECLARE_TABLE(avx512)
#endif

namespace {

struct Level {
  const char* name;
  const Operations* table;
  bool runs_here;
};

#ifdef DIPTYCH_X86
// What -march=x86-64-v3 and -v4 add, feature by feature: compilers before GCC 12 do not know the names.
bool has_avx2() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi") &&
         __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("popcnt");
}

bool has_avx512() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512vl");
}
#endif

Level choose() {
  const Level levels[] = {
#ifdef DIPTYCH_X86
      {"avx512", &avx512::table, has_avx2() && has_avx512()},
      {"avx2", &avx2::table, has_avx2()},
#endif
      {"portable", &portable::table, true},
  };
  const char* forced = std::getenv("DIPTYCH_SIMD");
  for (const Level& level : levels) {
    if (forced != nullptr && std::string(forced) != level.name) continue;
    if (level.runs_here) return level;
    if (forced != nullptr)
      throw std::runtime_error("DIPTYCH_SIMD=" + std::string(forced) + ": this machine cannot run it");
  }
  throw std::runtime_error("DIPTYCH_SIMD=" + std::string(forced) +
                           ": unknown or not built; known are portable, avx2 and avx512");
}

const Level& chosen() {
  static const Level level = choose();
  return level;
}

std::atomic<bool> in_forked_child{false};

[[maybe_unused]] const int fork_handler =
    pthread_atfork(nullptr, nullptr, [] { in_forked_child = true; });

}  // namespace

const Operations& operations() { return *chosen().table; }

std::string simd_level() { return chosen().name; }

int usable_threads(int requested) { return in_forked_child || requested < 1 ? 1 : requested; }

}  // namespace diptych::cpu
