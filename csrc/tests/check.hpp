// The little that the C++ tests need of a framework: TEST registers a case, CHECK records a failure.
#pragma once

#include <cstdio>
#include <string>
#include <vector>

namespace diptych::tests {

struct Case {
  const char* name;
  void (*body)();
};

inline std::vector<Case>& cases() {
  static std::vector<Case> all;
  return all;
}

inline int& failures_in_case() {
  static int count = 0;
  return count;
}

inline bool enroll(const char* name, void (*body)()) {
  cases().push_back({name, body});
  return true;
}

inline void report(const char* file, int line, const std::string& what) {
  if (++failures_in_case() <= 5) std::printf("%s:%d: %s\n", file, line, what.c_str());
}

}  // namespace diptych::tests

#define TEST(name)                                                                          \
  static void name();                                                                       \
  [[maybe_unused]] static const bool name##_enrolled = diptych::tests::enroll(#name, name); \
  static void name()

// CHECK(condition, explanation): the explanation is built only when the condition fails.
#define CHECK(condition, ...)                                                                 \
  do {                                                                                        \
    if (!(condition))                                                                         \
      diptych::tests::report(__FILE__, __LINE__, #condition ": " + std::string(__VA_ARGS__)); \
  } while (false)
