/// \file
/// Teams of CUDA threads: a tile of a warp (CudaTile) and a whole block (CudaBlock). The interface
/// and the results are those of team.hpp; tests/emulated_team.hpp is their stand-in without a GPU.
/// Both count threads by threadIdx.x: blocks are one-dimensional.
#pragma once

#include "kernels/core/team.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// N = 2^k <= 32 neighbouring lanes of one warp, which reduce by k shuffles.
/// Pre: the block has a multiple of N threads; all N lanes make the same calls in the same order
/// (lanes of other tiles of the warp may do what they like).
template <int N>
class CudaTile {
  static_assert(N >= 1 && N <= 32 && (N & (N - 1)) == 0);

 public:
  /// A team in a variable not yet set; using it is an error.
  CudaTile() = default;
  /// The tile of the calling thread.
  __device__ static CudaTile here() {
    CudaTile tile;
    tile.rank_ = static_cast<int>(threadIdx.x) & (N - 1);
    tile.mask_ =
        N == 32 ? 0xFFFFFFFFu : ((1u << (N % 32)) - 1u) << (threadIdx.x & 31u & ~unsigned{N - 1});
    return tile;
  }

  __device__ static constexpr int size() { return N; }
  __device__ int rank() const { return rank_; }
  __device__ void sync() const { __syncwarp(mask_); }

  template <class T>
  __device__ CUMARL_INLINE T min(T value) const {
    return reduce(value, reduction::Min{});
  }
  template <class T>
  __device__ CUMARL_INLINE T max(T value) const {
    return reduce(value, reduction::Max{});
  }
  template <class T>
  __device__ CUMARL_INLINE T sum(T value) const {
    return reduce(value, reduction::Sum{});
  }
  template <class F>
  __device__ CUMARL_INLINE void once(F&& f) const {
    sync();
    if (rank_ == 0) f();
    sync();
  }

 private:
  template <class T, class Op>
  __device__ CUMARL_INLINE T reduce(T value, Op op) const {
    return reduction::butterfly<N>(
        rank_, value, op, [this](T mine, int m) { return __shfl_xor_sync(mask_, mine, m, N); });
  }

  int rank_;
  unsigned mask_;
};

/// A block of N = 2^k threads, 64 <= N <= 1024. Warps reduce by shuffles, then every warp reduces
/// the warps' results, from shared memory, in the same binary tree.
/// Pre: the block has exactly N threads, and all of them make the same calls in the same order.
template <int N>
class CudaBlock {
  static_assert(N >= 64 && N <= 1024 && (N & (N - 1)) == 0);
  static constexpr int kWarps = N / 32;

 public:
  __device__ static CudaBlock here() { return {}; }

  __device__ static constexpr int size() { return N; }
  __device__ int rank() const { return static_cast<int>(threadIdx.x); }
  __device__ void sync() const { __syncthreads(); }

  template <class T>
  __device__ T min(T value) const {
    return combine(CudaTile<32>::here().min(value),
                   [](const auto& tile, T part) { return tile.min(part); });
  }
  template <class T>
  __device__ T max(T value) const {
    return combine(CudaTile<32>::here().max(value),
                   [](const auto& tile, T part) { return tile.max(part); });
  }
  template <class T>
  __device__ T sum(T value) const {
    return combine(CudaTile<32>::here().sum(value),
                   [](const auto& tile, T part) { return tile.sum(part); });
  }
  template <class F>
  __device__ void once(F&& f) const {
    sync();
    if (rank() == 0) f();
    sync();
  }

 private:
  /// `part`: the result of the calling thread's warp.
  template <class T, class Reduce>
  __device__ T combine(T part, Reduce reduce_warps) const {
    __shared__ T parts[kWarps];
    if (rank() % 32 == 0) parts[rank() / 32] = part;
    __syncthreads();
    part = parts[rank() % kWarps];
    __syncthreads();  // the next reduction writes to the same place
    return reduce_warps(CudaTile<kWarps>::here(), part);
  }
};

}  // namespace cumarl::inline CUMARL_VARIANT
