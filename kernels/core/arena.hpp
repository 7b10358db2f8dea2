/// \file
/// Where environments put their tables, so that kernels can read them.
#pragma once

#include <cstddef>
#include <cstring>
#include <memory>
#include <new>
#include <type_traits>
#include <vector>

namespace cumarl {

/// Read-only memory of one backend (host memory or a GPU's). Params structs hold plain pointers
/// into it; the arena outlives them. Errors: std::bad_alloc or CudaError when memory runs out.
class Arena {
 public:
  virtual ~Arena() = default;

  /// Copies `values` and returns their address on the backend, 64-byte aligned.
  template <class T>
  const T* store(const std::vector<T>& values) {
    static_assert(std::is_trivially_copyable_v<T>);
    return static_cast<const T*>(store_bytes(values.data(), values.size() * sizeof(T)));
  }

 private:
  virtual const void* store_bytes(const void* bytes, std::size_t count) = 0;
};

/// The arena of the CPU backend and of host-side calculations.
class HostArena : public Arena {
 private:
  struct Free {
    void operator()(std::byte* block) const { ::operator delete (block, std::align_val_t{64}); }
  };

  const void* store_bytes(const void* bytes, std::size_t count) override {
    auto* block = static_cast<std::byte*>(::operator new (count + 1, std::align_val_t{64}));
    blocks_.emplace_back(block);
    if (count > 0) std::memcpy(block, bytes, count);
    return block;
  }
  std::vector<std::unique_ptr<std::byte, Free>> blocks_;
};

}  // namespace cumarl
