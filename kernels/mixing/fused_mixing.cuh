/// \file
/// Fused mixing on a GPU: a block of threads a chunk, with its tile of samples in shared memory.
#pragma once

#include "kernels/core/launch.cuh"
#include "kernels/mixing/fused_mixing.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// Tuning of the launch; it changes no result.
struct CudaMixingPolicy {
  static constexpr int kThreads = 512;  ///< of a block
  static constexpr int kTile = 64;      ///< rows at most
};

/// Rows of a tile on the backend's device: as many as fit a block's shared memory, a power of two
/// up to CudaMixingPolicy::kTile; 0 if not even one does. Throws CudaError.
template <class Products, class Real>
int mixing_tile(const CudaBackend& backend, const typename MonotonicMixer<Real>::Shape& shape) {
  using Team = typename CudaTeamOf<CudaMixingPolicy::kThreads>::type;
  using Fused = FusedMixing<Real, Products>;
  constexpr size_t kReductions = 1024;  // what the team's own reductions take
  const size_t room =
      static_cast<size_t>(backend.attribute(cudaDevAttrMaxSharedMemoryPerBlockOptin)) - kReductions;
  int tile = CudaMixingPolicy::kTile;
  while (tile > 0 && Fused::template scratch<Team>(shape, tile) * sizeof(Real) > room) tile /= 2;
  return tile;
}

/// FusedMixing on the backend's stream, in three kernels; does not wait. All pointers are to the
/// device's memory: `work` has room for FusedMixing::workspace(shape, in.rows) numbers; gradient
/// [parameters] and *loss are written, but where in.dq is null. With TensorProducts the matrix products are of TF32.
/// Pre: in.rows > 0. Throws CudaError if a launch is refused, or if one row is more than a block's
/// shared memory.
template <class Products, class Real>
void launch_fused_mixing(const CudaBackend& backend,
                         const typename MonotonicMixer<Real>::Shape& shape, const Real* weights,
                         const MixingBatch<Real>& in, Real* work, Real* gradient, Real* loss) {
  using Team = typename CudaTeamOf<CudaMixingPolicy::kThreads>::type;
  using Steps = MixingSteps<Real, Products>;
  using Fused = typename Steps::Fused;
  const int fits = mixing_tile<Products, Real>(backend, shape);
  const int tile = fits > 0 ? fits : 1;  // launch_teams refuses what does not fit
  const Steps all{shape, weights, in, tile, work, gradient, loss};
  const uint64_t prepared = Fused::prepared(shape);
  const uint64_t parameters = Fused::parameters(shape);
  launch(backend, prepared, typename Steps::Prepare{all, prepared});
  launch_teams<CudaMixingPolicy::kThreads, 128>(
      backend, static_cast<uint64_t>(Fused::chunks(in.rows)),
      Fused::template scratch<Team>(shape, tile) * sizeof(Real), typename Steps::Chunk{all});
  if (in.dq != nullptr) launch(backend, parameters, typename Steps::Reduce{all, parameters});
}

}  // namespace cumarl::inline CUMARL_VARIANT
