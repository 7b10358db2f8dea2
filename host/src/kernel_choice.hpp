/// \file
/// Which of the compiled CPU loops this processor runs.
#pragma once

#include "kernels/rollout/launch_args.hpp"

namespace cumarl {

enum class CpuVariant { generic, x86_64_v3, x86_64_v4 };

/// The best variant that was compiled (CUMARL_CPU_VARIANTS) and this processor supports; CUMARL_CPU=generic|x86_64_v3|x86_64_v4 in the
/// environment asks for a lesser one (for tests: all agree to the bit).
CpuVariant cpu_variant();
const char* cpu_variant_name();

/// Throws DeviceError: this build has no CUDA.
Kernels<CudaBackend> no_cuda_kernels(int shape);

}  // namespace cumarl
