#include "host/src/kernel_choice.hpp"

#include <cstdlib>
#include <string_view>

#include "cumarl/error.hpp"

namespace cumarl {

CpuVariant cpu_variant() {
#if defined(__x86_64__)
  const bool v3 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2") &&
                  __builtin_cpu_supports("fma");
  const bool v4 = v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                  __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
                  __builtin_cpu_supports("avx512vl");
#if defined(CUMARL_HAS_x86_64_v3)
  constexpr bool kHasV3 = true;
#else
  constexpr bool kHasV3 = false;
#endif
#if defined(CUMARL_HAS_x86_64_v4)
  constexpr bool kHasV4 = true;
#else
  constexpr bool kHasV4 = false;
#endif
  const char* wish = std::getenv("CUMARL_CPU");
  const std::string_view most = wish == nullptr ? "" : wish;
  if (most == "generic") return CpuVariant::generic;
  if (kHasV4 && v4 && most != "x86_64_v3") return CpuVariant::x86_64_v4;
  if (kHasV3 && v3) return CpuVariant::x86_64_v3;
#endif
  return CpuVariant::generic;
}

const char* cpu_variant_name() {
  switch (cpu_variant()) {
    case CpuVariant::x86_64_v3: return "x86_64_v3";
    case CpuVariant::x86_64_v4: return "x86_64_v4";
    case CpuVariant::generic: break;
  }
  return "generic";
}

}  // namespace cumarl
