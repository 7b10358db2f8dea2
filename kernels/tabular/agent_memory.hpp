/// \file
/// How policy learners lay out an agent's memory.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/core/hd.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// Cuts an agent's memory into arrays, one after another, each on a multiple of 8 bytes. Without
/// memory it only adds up their sizes, so that one function of a learner states its layout for both.
class MemoryArrays {
 public:
  CUMARL_HD explicit MemoryArrays(std::byte* memory) : memory_(memory) {}

  template <class T>
  CUMARL_HD T* array(size_t count) {
    static_assert(alignof(T) <= 8);
    const size_t at = bytes_;
    bytes_ += (count * sizeof(T) + 7) / 8 * 8;
    return memory_ == nullptr ? nullptr : reinterpret_cast<T*>(memory_ + at);
  }
  CUMARL_HD size_t bytes() const { return bytes_; }

 private:
  std::byte* memory_;
  size_t bytes_ = 0;
};

/// Fills an array.
template <class T>
CUMARL_HD void fill(T* values, size_t count, T value) {
  for (size_t k = 0; k < count; ++k) values[k] = value;
}

/// Sets all memory to 0, gaps between arrays included. Pre: `bytes` is a multiple of 8.
CUMARL_HD inline void clear_memory(std::byte* memory, size_t bytes) {
  fill(reinterpret_cast<uint64_t*>(memory), bytes / 8, uint64_t{0});
}

}  // namespace cumarl::inline CUMARL_VARIANT
