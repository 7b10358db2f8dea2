# Reads envs/envs.def and kernels/learners.def and generates the registry: one translation unit an
# environment and instruction set (and one for CUDA), with all learners inside.

# The instruction sets the CPU loops are compiled for; the best one is chosen at run time.
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  set(CUMARL_CPU_VARIANTS generic x86_64_v3 x86_64_v4 CACHE STRING
    "Instruction sets that CPU loops are compiled for; generic must be among them")
  set(CUMARL_BASELINE x86-64-v2 CACHE STRING "What the generic loops are compiled for, as -march takes it")
  set(CUMARL_FLAGS_generic -march=${CUMARL_BASELINE})
  set(CUMARL_FLAGS_x86_64_v3 -march=x86-64-v3 -mtune=haswell)
  set(CUMARL_FLAGS_x86_64_v4 -march=x86-64-v4 -mprefer-vector-width=512 -mtune=haswell)
else()
  set(CUMARL_CPU_VARIANTS generic CACHE STRING "")
  set(CUMARL_FLAGS_generic)
endif()

set(CUMARL_ENVS_A_UNIT 4 CACHE STRING
  "Agentwise environments compiled in one translation unit: more of them build faster from nothing, one builds faster after a change")

set(CUMARL_ENVS "" CACHE STRING
  "Environments to compile, by the names of their headers (bertrand_logit;lbf); empty: all. A few build fast while one works on them")

# g++ 12 sees uninitialised values in its own AVX-512 intrinsics once they are inlined. Its vectoriser of
# straight code makes a fused multiply-add of x*y - z*w beside x*y + z*w, -ffp-contract=off or not;
# scripts/test.sh looks for such instructions.
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  set(CUMARL_KERNEL_FLAGS -Wno-maybe-uninitialized -Wno-uninitialized -fno-tree-slp-vectorize)
endif()
# Debug builds take millions of steps, too.
list(APPEND CUMARL_KERNEL_FLAGS $<$<CONFIG:Debug>:-O1>)

# Lines of a .def file as "a;b" lists joined by "|".
function(cumarl_read_def file out)
  file(STRINGS ${file} lines REGEX "^[^#]")
  set(entries)
  foreach(line IN LISTS lines)
    string(REGEX REPLACE "[ \t]+" "|" line "${line}")
    list(APPEND entries "${line}")
  endforeach()
  set(${out} "${entries}" PARENT_SCOPE)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${file})
endfunction()

# Has the generated `file` compiled as a part of `unit`, which may be itself.
macro(cumarl_add_to_unit unit file options)
  list(APPEND units ${unit})
  list(REMOVE_DUPLICATES units)
  string(APPEND unit_text_${unit} "#include \"${file}\"\n")
  set(unit_options_${unit} "${options}")
endmacro()

function(cumarl_generate_registry target)
  set(units)
  set(agentwise_count 0)
  list(TRANSFORM CUMARL_CPU_VARIANTS PREPEND CUMARL_HAS_ OUTPUT_VARIABLE compiled)
  set_source_files_properties(host/src/kernel_choice.cpp PROPERTIES COMPILE_DEFINITIONS "${compiled}")
  set(gen ${CMAKE_CURRENT_BINARY_DIR}/generated)
  cumarl_read_def(${PROJECT_SOURCE_DIR}/kernels/learners.def learners)
  cumarl_read_def(${PROJECT_SOURCE_DIR}/envs/envs.def envs)

  # learners.gen.hpp: Learner0<Shape>, Learner1<Shape>, ..., those with loops of their own, and at last
  # AnyLearner; any_learner.gen.hpp: every learner, as one agent's among others'.
  set(includes)
  set(every_include)
  set(aliases)
  set(every)
  set(policies)
  set(kinds)
  set(kind_index 0)
  set(joint_include)
  set(joint_cases)
  set(joint_count 0)
  set(count 0)
  foreach(entry IN LISTS learners)
    string(REPLACE "|" ";" entry "${entry}")
    list(GET entry 0 header)
    list(GET entry 1 type)
    list(GET entry 2 kind)
    if(kind STREQUAL "joint")
      string(APPEND joint_include "#include \"${header}\"\n")
      string(APPEND joint_cases "    case ${joint_count}: return f.template operator()<${type}<Real>>();\n")
      math(EXPR joint_count "${joint_count} + 1")
      continue()
    endif()
    string(APPEND every_include "#include \"${header}\"\n")
    if(kind MATCHES "^(tabular|plain)$")
      string(APPEND includes "#include \"${header}\"\n")
    endif()
    if(kind STREQUAL "tabular")
      list(APPEND every "PerAgent<${type}<Float64, AnyShape>>")
      foreach(table Fixed28 Float32 Float64)
        string(APPEND aliases
          "template <class S>\nusing Learner${count} = ${type}<${table}, S>;\n")
        math(EXPR count "${count} + 1")
      endforeach()
    elseif(kind STREQUAL "agentwise")
      list(APPEND every "PerAgent<${type}<Float64, AnyShape>>")
      list(APPEND policies ${kind_index})
    elseif(kind STREQUAL "policy")
      list(APPEND every "${type}")
      list(APPEND policies ${kind_index})
    elseif(kind STREQUAL "plain")
      list(APPEND every "PerAgent<${type}>")
      string(APPEND aliases "template <class S>\nusing Learner${count} = ${type};\n")
      math(EXPR count "${count} + 1")
    else()
      message(FATAL_ERROR "kernels/learners.def: '${kind}' must be tabular, agentwise, plain, policy or joint")
    endif()
    list(APPEND kinds ${kind_index})
    math(EXPR kind_index "${kind_index} + 1")
  endforeach()
  set(any ${count})
  math(EXPR joint_loops "${any} + 1")
  list(JOIN every ",\n                                 " every)
  file(CONFIGURE OUTPUT ${gen}/any_learner.gen.hpp CONTENT
"// Generated from kernels/learners.def: do not edit.
#pragma once
#include \"kernels/tabular/per_agent.hpp\"
${every_include}
namespace cumarl::inline CUMARL_VARIANT {
using EveryLearner = LearnerList<${every}>;
}  // namespace cumarl::inline CUMARL_VARIANT
")
  file(CONFIGURE OUTPUT ${gen}/any_joint.gen.hpp CONTENT
"// Generated from kernels/learners.def: do not edit.
#pragma once
${joint_include}
namespace cumarl::inline CUMARL_VARIANT {
inline constexpr int kJointLearners = ${joint_count};
/// Calls f.template operator()<L>() for the kind-th joint learner.
#if defined(__CUDACC__)
#pragma nv_exec_check_disable  // f may be for the host alone
#endif
template <class Real, class F>
CUMARL_HD void dispatch_joint(int kind, F f) {
  switch (kind) {
${joint_cases}    default: break;
  }
}
}  // namespace cumarl::inline CUMARL_VARIANT
")
  foreach(VARIANT IN LISTS CUMARL_CPU_VARIANTS)
    set(unit ${gen}/any_joint_${VARIANT}.cpp)
    file(CONFIGURE OUTPUT ${unit} CONTENT
"// Generated: do not edit.
#include \"kernels/linear/any_joint_impl.hpp\"
template struct cumarl::${VARIANT}::AnyJointOf<cumarl::${VARIANT}::SerialTeam>;
")
    set_source_files_properties(${unit} PROPERTIES COMPILE_OPTIONS
      "${CUMARL_FLAGS_${VARIANT}};-DCUMARL_VARIANT=${VARIANT};${CUMARL_KERNEL_FLAGS}")
    target_sources(${target} PRIVATE ${unit})
    set(unit ${gen}/any_batched_${VARIANT}.cpp)
    file(CONFIGURE OUTPUT ${unit} CONTENT
"// Generated: do not edit.
#include \"kernels/batched/any_batched_impl.hpp\"
template struct cumarl::${VARIANT}::AnyBatchedOf<0>;
")
    set_source_files_properties(${unit} PROPERTIES COMPILE_OPTIONS
      "${CUMARL_FLAGS_${VARIANT}};-DCUMARL_VARIANT=${VARIANT};${CUMARL_KERNEL_FLAGS}")
    target_sources(${target} PRIVATE ${unit})
    set(unit ${gen}/any_learner_${VARIANT}.cpp)
    file(CONFIGURE OUTPUT ${unit} CONTENT
"// Generated: do not edit.
#include \"kernels/tabular/any_learner_impl.hpp\"
template struct cumarl::${VARIANT}::AnyLearnerOf<0>;
")
    set_source_files_properties(${unit} PROPERTIES COMPILE_OPTIONS
      "${CUMARL_FLAGS_${VARIANT}};-DCUMARL_VARIANT=${VARIANT};${CUMARL_KERNEL_FLAGS}")
    target_sources(${target} PRIVATE ${unit})
  endforeach()
  if(CUMARL_CUDA)
    file(CONFIGURE OUTPUT ${gen}/any_learner.cu CONTENT
"// Generated: do not edit.
#include \"kernels/tabular/any_learner_impl.hpp\"
template struct cumarl::AnyLearnerOf<0>;
")
    # kernels are bounded to so many registers (__launch_bounds__, launch.cuh), and so must be what
    # they call
    file(CONFIGURE OUTPUT ${gen}/any_joint.cu CONTENT
"// Generated: do not edit.
#include \"kernels/linear/any_joint_impl.cuh\"
template struct cumarl::AnyJointOf<cumarl::SerialTeam>;
")
    file(CONFIGURE OUTPUT ${gen}/any_batched.cu CONTENT
"// Generated: do not edit.
#include \"kernels/batched/cuda_batched_impl.cuh\"
template struct cumarl::CudaBatchedOf<0>;
")
    set_source_files_properties(${gen}/any_learner.cu ${gen}/any_joint.cu ${gen}/any_batched.cu
      PROPERTIES COMPILE_OPTIONS "--maxrregcount=128")
    target_sources(${target} PRIVATE ${gen}/any_learner.cu ${gen}/any_joint.cu ${gen}/any_batched.cu)
    set_target_properties(${target} PROPERTIES
      CUDA_SEPARABLE_COMPILATION ON CUDA_RESOLVE_DEVICE_SYMBOLS ON)
  endif()
  file(CONFIGURE OUTPUT ${gen}/learners.gen.hpp CONTENT
"// Generated from kernels/learners.def: do not edit.
#pragma once
#include \"kernels/tabular/any_learner.hpp\"
${includes}
namespace cumarl::inline CUMARL_VARIANT {
${aliases}
template <class S>
using Learner${any} = AnyLearner;
}  // namespace cumarl::inline CUMARL_VARIANT
")
  math(EXPR last "${count} - 1")

  set(REGISTRY_DECLARATIONS)
  set(env_calls)
  set(mix_calls)
  set(pair_calls)
  foreach(entry IN LISTS envs)
    string(REPLACE "|" ";" entry "${entry}")
    list(GET entry 0 ENV_HEADER)
    list(GET entry 1 ENV_TYPE)
    get_filename_component(name ${ENV_HEADER} NAME_WE)
    if(CUMARL_ENVS AND NOT name IN_LIST CUMARL_ENVS)
      continue()
    endif()
    set(loops compiled)
    list(LENGTH entry fields)
    if(fields GREATER 2)
      list(GET entry 2 loops)
    endif()
    if(NOT loops MATCHES "^(compiled|agentwise)$")
      message(FATAL_ERROR "envs/envs.def: '${loops}' must be compiled or agentwise")
    endif()
    set(CPU_DECLARATIONS)
    set(CPU_CASES)
    set(CPU_KERNEL_CASES)
    set(CUDA_KERNEL_CASES)
    set(PAIR_MODELS)
    set(alone ${policies})
    if(loops STREQUAL "agentwise")
      set(alone ${kinds})
    else()
      foreach(i RANGE ${last})
        string(APPEND CPU_KERNEL_CASES
          "    case ${i}: return cpu_kernels<${ENV_TYPE}, Learner${i}>(shape, shapes_of<${ENV_TYPE}>());\n")
        string(APPEND CUDA_KERNEL_CASES
          "    case ${i}: return cuda_kernels<${ENV_TYPE}, Learner${i}>(shape, shapes_of<${ENV_TYPE}>());\n")
        string(APPEND PAIR_MODELS
          "  static const PairModelOf<${ENV_TYPE}, Learner${i}, KernelsOf${ENV_TYPE}<${i}>> model${i};\n"
          "  models.push_back(&model${i});\n")
      endforeach()
    endif()
    string(APPEND CPU_KERNEL_CASES
      "    case ${any}: return cpu_kernels<${ENV_TYPE}, Learner${any}>(shape, ShapeList<>{});\n")
    string(APPEND CUDA_KERNEL_CASES
      "    case ${any}: return cuda_kernels<${ENV_TYPE}, Learner${any}>(shape, ShapeList<>{});\n")
    if(joint_count GREATER 0)
      string(APPEND CPU_KERNEL_CASES
        "    case ${joint_loops}: return shape == kLanesShape ? cpu_batched_kernels<${ENV_TYPE}>() : cpu_joint_kernels<${ENV_TYPE}>();\n")
      string(APPEND CUDA_KERNEL_CASES
        "    case ${joint_loops}: return shape == kLanesShape ? cuda_batched_kernels<${ENV_TYPE}>() : cuda_joint_kernels<${ENV_TYPE}>();\n")
      string(APPEND PAIR_MODELS
        "  add_joint_models<${ENV_TYPE}, KernelsOf${ENV_TYPE}<${joint_loops}>>(models);\n")
    endif()
    set(ANY ${any})
    foreach(kind IN LISTS alone)
      string(APPEND PAIR_MODELS
        "  static const MixModelOf<${ENV_TYPE}, KernelsOf${ENV_TYPE}<${any}>> policy${kind}(${kind});\n"
        "  models.push_back(&policy${kind});\n")
    endforeach()
    # where the environment's functions are compiled: in units of its own, or in a group's
    set(unit_of ${ENV_TYPE})
    if(loops STREQUAL "agentwise" AND CUMARL_ENVS_A_UNIT GREATER 1)
      math(EXPR group "${agentwise_count} / ${CUMARL_ENVS_A_UNIT}")
      math(EXPR agentwise_count "${agentwise_count} + 1")
      set(unit_of envs_${group})
    endif()
    foreach(VARIANT IN LISTS CUMARL_CPU_VARIANTS)
      string(APPEND CPU_DECLARATIONS
        "Kernels<CpuBackend> cpu_kernels_${ENV_TYPE}_${VARIANT}(int learner, int shape);\n")
      if(NOT VARIANT STREQUAL "generic")
        string(APPEND CPU_CASES
          "      case CpuVariant::${VARIANT}: return cpu_kernels_${ENV_TYPE}_${VARIANT}(Learner, shape);\n")
      endif()
      configure_file(${PROJECT_SOURCE_DIR}/cmake/cpu_kernels.cpp.in
        ${gen}/${ENV_TYPE}_${VARIANT}.cpp @ONLY)
      cumarl_add_to_unit(${unit_of}_${VARIANT}.cpp ${ENV_TYPE}_${VARIANT}.cpp
        "${CUMARL_FLAGS_${VARIANT}};-DCUMARL_VARIANT=${VARIANT};${CUMARL_KERNEL_FLAGS}")
    endforeach()
    if(CUMARL_CUDA)
      set(CUDA_CALL "cuda_kernels_${ENV_TYPE}(Learner, shape)")
      configure_file(${PROJECT_SOURCE_DIR}/cmake/cuda_kernels.cu.in ${gen}/${ENV_TYPE}.cu @ONLY)
      cumarl_add_to_unit(${unit_of}.cu ${ENV_TYPE}.cu "--maxrregcount=128")
    else()
      set(CUDA_CALL "no_cuda_kernels(shape)")
    endif()
    configure_file(${PROJECT_SOURCE_DIR}/cmake/env_model.cpp.in ${gen}/${ENV_TYPE}_model.cpp @ONLY)
    # a model is about names and settings: it compiles longer than it runs
    cumarl_add_to_unit(${unit_of}_model.cpp ${ENV_TYPE}_model.cpp "$<$<CONFIG:Release>:-O1>")
    string(APPEND REGISTRY_DECLARATIONS
      "const EnvModel& env_model_${ENV_TYPE}();\n"
      "std::vector<const PairModel*> pair_models_${ENV_TYPE}();\n"
      "const MixModel& mix_model_${ENV_TYPE}();\n")
    list(APPEND mix_calls "&mix_model_${ENV_TYPE}()")
    list(APPEND env_calls "&env_model_${ENV_TYPE}()")
    list(APPEND pair_calls "pair_models_${ENV_TYPE}()")
  endforeach()
  foreach(unit IN LISTS units)
    if(NOT unit_text_${unit} STREQUAL "#include \"${unit}\"\n")
      file(CONFIGURE OUTPUT ${gen}/${unit} CONTENT "// Generated: do not edit.\n${unit_text_${unit}}")
    endif()
    set_source_files_properties(${gen}/${unit} PROPERTIES COMPILE_OPTIONS "${unit_options_${unit}}")
    target_sources(${target} PRIVATE ${gen}/${unit})
  endforeach()
  list(JOIN env_calls ", " REGISTRY_ENVS)
  list(JOIN mix_calls ", " REGISTRY_MIXES)
  list(JOIN pair_calls ", " REGISTRY_PAIRS)
  configure_file(${PROJECT_SOURCE_DIR}/cmake/registry.cpp.in ${gen}/registry.cpp @ONLY)
  target_sources(${target} PRIVATE ${gen}/registry.cpp)
  target_include_directories(${target} PRIVATE ${gen})
endfunction()
