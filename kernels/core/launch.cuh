/// \file
/// Launching on a GPU: the same functor over n items, by threads or by teams of them.
#pragma once

#include <cuda_runtime.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include "cumarl/error.hpp"
#include "kernels/core/hd.hpp"
#include "kernels/core/team.cuh"

/// Evaluates a call into the CUDA runtime; throws cumarl::CudaError unless it returned cudaSuccess.
#define CUMARL_CUDA_CHECK(expr) ::cumarl::cuda_check((expr), #expr, __FILE__, __LINE__)

namespace cumarl {

/// See CUMARL_CUDA_CHECK. Clears the runtime's sticky copy of the error, where it can be cleared.
inline void cuda_check(cudaError_t status, const char* expression, const char* file, int line) {
  if (status == cudaSuccess) return;
  cudaGetLastError();
  throw CudaError(expression, file, line,
                  std::string(cudaGetErrorName(status)) + ", " + cudaGetErrorString(status));
}

/// Makes a device the calling thread's current one while in scope.
class CudaDeviceScope {
 public:
  /// Throws CudaError if there is no such device.
  explicit CudaDeviceScope(int device) {
    CUMARL_CUDA_CHECK(cudaGetDevice(&before_));
    CUMARL_CUDA_CHECK(cudaSetDevice(device));
  }
  CudaDeviceScope(const CudaDeviceScope&) = delete;
  CudaDeviceScope& operator=(const CudaDeviceScope&) = delete;
  ~CudaDeviceScope() { cudaSetDevice(before_); }

 private:
  int before_ = 0;
};

/// A stream of a GPU. Move-only; the stream is destroyed with the object that owns it.
class CudaBackend {
 public:
  /// Owns a new stream on `device`. Throws CudaError.
  explicit CudaBackend(int device) : device_(device), owns_(true) {
    const CudaDeviceScope scope(device);
    CUMARL_CUDA_CHECK(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking));
  }
  /// Borrows the caller's stream, which belongs to `device` and outlives this object.
  CudaBackend(int device, cudaStream_t stream) : device_(device), stream_(stream), owns_(false) {}
  CudaBackend(CudaBackend&& other) noexcept
      : device_(other.device_), stream_(other.stream_), owns_(std::exchange(other.owns_, false)) {}
  CudaBackend& operator=(CudaBackend&& other) noexcept {
    std::swap(device_, other.device_);
    std::swap(stream_, other.stream_);
    std::swap(owns_, other.owns_);
    return *this;
  }
  ~CudaBackend() {
    if (owns_) cudaStreamDestroy(stream_);
  }

  int device() const { return device_; }
  cudaStream_t stream() const { return stream_; }
  /// A property of the device. Throws CudaError.
  int attribute(cudaDeviceAttr which) const {
    int value = 0;
    CUMARL_CUDA_CHECK(cudaDeviceGetAttribute(&value, which, device_));
    return value;
  }
  /// Waits for all that was launched. Throws CudaError for what went wrong in it.
  void synchronize() const { CUMARL_CUDA_CHECK(cudaStreamSynchronize(stream_)); }

 private:
  int device_;
  cudaStream_t stream_ = nullptr;
  bool owns_;
};

/// Tuning of launches.
struct CudaLaunchPolicy {
  /// Threads a block. Blocks get smaller, down to a warp (teams: down to one team), while
  /// multiprocessors would stay without one.
  static constexpr int kThreads = 128;
  /// Threads that a multiprocessor must be able to run at once: up to 128 registers each. Said in
  /// so many words because the compiler otherwise spills a few to run more.
  static constexpr int kResident = 512;
};

/// How a launch of teams is laid out.
struct CudaTeamGrid {
  int teams;          ///< a block; 0: one team's scratch is more than a block can have
  size_t stride;      ///< bytes from one team's scratch to the next one's
  uint64_t capacity;  ///< teams that the whole device runs at once
};

}  // namespace cumarl

namespace cumarl::inline CUMARL_VARIANT {

/// Blocks for n items, `per_block` a block. Kernels go round when that is more than fit a grid.
inline unsigned grid_blocks(uint64_t n, int per_block) {
  constexpr uint64_t kMax = 0x7FFFFFFF;
  const uint64_t blocks = (n - 1) / static_cast<uint64_t>(per_block) + 1;
  return static_cast<unsigned>(blocks < kMax ? blocks : kMax);
}

template <class F>
__global__ void __launch_bounds__(CudaLaunchPolicy::kThreads,
                                  CudaLaunchPolicy::kResident / CudaLaunchPolicy::kThreads)
    launch_kernel(const __grid_constant__ F f, uint64_t n) {
  const uint64_t stride = uint64_t{gridDim.x} * blockDim.x;
  for (uint64_t i = uint64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < n; i += stride) f(i);
}

/// Calls f(i) for i in [0, n), a thread each, on the backend's stream; does not wait. `most_threads`:
/// of a block, a power of two from 32 to CudaLaunchPolicy::kThreads.
/// F is a trivially copyable functor with a __device__ call operator.
/// Throws CudaError if the launch is refused; what goes wrong later, synchronize() throws.
template <class F>
void launch(const CudaBackend& backend, uint64_t n, F f,
            int most_threads = CudaLaunchPolicy::kThreads) {
  if (n == 0) return;
  const CudaDeviceScope scope(backend.device());
  const auto processors = static_cast<uint64_t>(backend.attribute(cudaDevAttrMultiProcessorCount));
  int threads = most_threads;
  while (threads > 32 && grid_blocks(n, threads) < processors) threads /= 2;
  launch_kernel<F><<<grid_blocks(n, threads), threads, 0, backend.stream()>>>(f, n);
  CUMARL_CUDA_CHECK(cudaGetLastError());
}

/// The team of TeamSize lanes: a tile of a warp up to 32, above that a block.
template <int TeamSize>
struct CudaTeamOf {
  using type = CudaTile<TeamSize>;
};
template <int TeamSize>
requires(TeamSize > 32) struct CudaTeamOf<TeamSize> {
  using type = CudaBlock<TeamSize>;
};

/// Most threads of a block of teams, and how many such blocks a multiprocessor must be able to run.
template <int TeamSize>
inline constexpr int kCudaTeamThreads = TeamSize > 32 ? TeamSize : CudaLaunchPolicy::kThreads;
template <int TeamSize>
inline constexpr int kCudaTeamBlocks =
    (CudaLaunchPolicy::kResident - 1) / kCudaTeamThreads<TeamSize> + 1;

template <int TeamSize, class F>
__global__ void __launch_bounds__(kCudaTeamThreads<TeamSize>, kCudaTeamBlocks<TeamSize>)
    launch_teams_kernel(const __grid_constant__ F f, uint64_t n, size_t scratch_stride) {
  extern __shared__ __align__(128) std::byte cumarl_scratch[];
  const auto team = CudaTeamOf<TeamSize>::type::here();
  const unsigned teams = blockDim.x / TeamSize;
  const unsigned mine = threadIdx.x / TeamSize;
  const uint64_t stride = uint64_t{gridDim.x} * teams;
  for (uint64_t i = uint64_t{blockIdx.x} * teams + mine; i < n; i += stride) {
    f(team, i, cumarl_scratch + mine * scratch_stride);
  }
}

/// How launch_teams with these arguments is laid out: with the block size with which most teams
/// run at once, the largest among equals, of up to `most_threads` threads. Throws CudaError.
template <int TeamSize, size_t Align = 16, class F>
CudaTeamGrid team_grid(const CudaBackend& backend, uint64_t n, size_t scratch_bytes,
                       int most_threads = CudaLaunchPolicy::kThreads) {
  static_assert(TeamSize <= 1024 && (TeamSize & (TeamSize - 1)) == 0);
  static_assert(Align <= 128 && (Align & (Align - 1)) == 0);
  const CudaDeviceScope scope(backend.device());
  const auto kernel = &launch_teams_kernel<TeamSize, F>;
  // an odd multiple of Align: neighbouring teams, at the same place in their scratches, are as far
  // apart in the banks of shared memory as Align allows
  CudaTeamGrid best{0, 0, 0};
  size_t most = 0;
  if (scratch_bytes > 0) {
    best.stride = ((scratch_bytes + Align - 1) / Align | 1) * Align;
    cudaFuncAttributes facts{};
    CUMARL_CUDA_CHECK(cudaFuncGetAttributes(&facts, kernel));
    most = static_cast<size_t>(backend.attribute(cudaDevAttrMaxSharedMemoryPerBlockOptin)) -
           facts.sharedSizeBytes;
    CUMARL_CUDA_CHECK(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                           static_cast<int>(most)));
    CUMARL_CUDA_CHECK(cudaFuncSetAttribute(kernel, cudaFuncAttributePreferredSharedMemoryCarveout,
                                           cudaSharedmemCarveoutMaxShared));
  }
  const auto processors = static_cast<uint64_t>(backend.attribute(cudaDevAttrMultiProcessorCount));
  int teams = std::min(most_threads, kCudaTeamThreads<TeamSize>) / TeamSize;
  if (teams == 0) teams = 1;
  while (teams > 1 && grid_blocks(n, teams) < processors) teams /= 2;
  for (; teams > 0; teams /= 2) {
    const size_t scratch = static_cast<size_t>(teams) * best.stride;
    if (scratch > most) continue;
    int blocks = 0;
    CUMARL_CUDA_CHECK(
        cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, kernel, teams * TeamSize, scratch));
    const uint64_t capacity = processors * static_cast<uint64_t>(blocks * teams);
    if (capacity > best.capacity) {
      best.teams = teams;
      best.capacity = capacity;
    }
  }
  return best;
}

/// Calls f(team, i, scratch) for i in [0, n), TeamSize lanes (a power of two up to 1024) each, on
/// the backend's stream; does not wait. `scratch` is shared memory of the team, `scratch_bytes`
/// long and Align-aligned (a power of two up to 128), with undefined contents. `most_threads`: of a
/// block, a power of two; a block has one team at least.
/// F is a trivially copyable functor with a __device__ call operator.
/// Throws CudaError if the launch is refused, or if a block cannot have that much shared memory.
template <int TeamSize, size_t Align = 16, class F>
void launch_teams(const CudaBackend& backend, uint64_t n, size_t scratch_bytes, F f,
                  int most_threads = CudaLaunchPolicy::kThreads) {
  if (n == 0) return;
  const CudaTeamGrid grid = team_grid<TeamSize, Align, F>(backend, n, scratch_bytes, most_threads);
  if (grid.teams == 0) {
    throw CudaError("launch_teams", __FILE__, __LINE__,
                    std::to_string(scratch_bytes) +
                        " bytes are more than the shared memory of a "
                        "block");
  }
  const CudaDeviceScope scope(backend.device());
  launch_teams_kernel<TeamSize, F>
      <<<grid_blocks(n, grid.teams), grid.teams * TeamSize,
         static_cast<size_t>(grid.teams) * grid.stride, backend.stream()>>>(f, n, grid.stride);
  CUMARL_CUDA_CHECK(cudaGetLastError());
}

}  // namespace cumarl::inline CUMARL_VARIANT
