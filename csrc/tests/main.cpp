// Runs every test at the instruction set that DIPTYCH_SIMD names (the best one here without it) and closes
// with "N passed, M failed". Exit status: 0, 1 when a test failed, 77 where this machine lacks the level.
#include <exception>
#include <stdexcept>

#include "../cpu/dispatch.hpp"
#include "check.hpp"

using namespace diptych::tests;

int main() {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  try {
    std::printf("instruction set: %s\n", diptych::cpu::simd_level().c_str());
  } catch (const std::runtime_error& error) {
    std::printf("skipped: %s\n", error.what());
    return 77;
  }
  int passed = 0, failed = 0;
  for (const Case& test : cases()) {
    failures_in_case() = 0;
    try {
      test.body();
    } catch (const std::exception& error) {
      report(__FILE__, __LINE__, std::string("uncaught exception: ") + error.what());
    }
    const int failures = failures_in_case();
    if (failures > 0) std::printf("FAILED %s (%d checks)\n", test.name, failures);
    ++(failures > 0 ? failed : passed);
  }
  std::printf("%d passed, %d failed\n", passed, failed);
  return failed > 0 ? 1 : 0;
}
