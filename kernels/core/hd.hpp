/// \file
/// One source, two backends: the markers that let g++, clang++ and nvcc read the same rules.
#pragma once

#if defined(__CUDACC__)
#define CUMARL_HD __host__ __device__
#else
#define CUMARL_HD
#endif

/// Forced inlining, for the few functions on the hot path whose cost is the call itself.
#define CUMARL_INLINE inline __attribute__((always_inline))

/// The kernels, environments and learners are compiled once per instruction set, each copy in an
/// inline namespace of its own, so that the linker never merges an AVX-512 copy of an inline
/// function with the one an older processor must run. Everything under kernels/ and envs/ opens
/// `namespace cumarl::inline CUMARL_VARIANT`; users write just `cumarl::`.
#if !defined(CUMARL_VARIANT)
#define CUMARL_VARIANT generic
#endif
