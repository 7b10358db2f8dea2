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
  const char* wish = std::getenv("CUMARL_CPU");
  const std::string_view most = wish == nullptr ? "" : wish;
  if (most == "generic") return CpuVariant::generic;
  if (v4 && most != "x86_64_v3") return CpuVariant::x86_64_v4;
  if (v3) return CpuVariant::x86_64_v3;
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
