// Scratch memory that frees itself.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <new>

#include "../core/macros.hpp"

namespace diptych::cpu::DIPTYCH_ISA {

// `count` uninitialised T. Not std::vector: its functions are shared between the instruction sets' builds.
template <class T>
class Buffer {
 public:
  explicit Buffer(std::size_t count) : memory_(static_cast<T*>(std::malloc(sizeof(T) * count))) {
    if (memory_ == nullptr && count > 0) throw std::bad_alloc();
  }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer() { std::free(memory_); }

  T* data() const { return memory_; }
  T& operator[](std::size_t place) const { return memory_[place]; }

 private:
  T* memory_;
};

}  // namespace diptych::cpu::DIPTYCH_ISA
