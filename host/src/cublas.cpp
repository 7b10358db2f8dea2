#include "host/src/cublas.hpp"

#include <cublas_v2.h>
#include <cuda_runtime.h>
#include <dlfcn.h>

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <type_traits>

#include "cumarl/error.hpp"

namespace cumarl {
namespace {

/// What is used of the library.
struct Library {
  decltype(&cublasCreate_v2) create;
  decltype(&cublasSetStream_v2) set_stream;
  decltype(&cublasSetWorkspace_v2) set_workspace;
  cublasStatus_t (*multiply)(cublasHandle_t, cublasOperation_t, cublasOperation_t, int, int, int,
                             const void*, const void*, cudaDataType, int, long long, const void*,
                             cudaDataType, int, long long, const void*, void*, cudaDataType, int,
                             long long, int, cublasComputeType_t, cublasGemmAlgo_t);
  decltype(&cublasGetStatusString) text;
};

/// As NVIDIA recommends for Hopper.
constexpr size_t kWorkspace = size_t{32} << 20;

const Library& library() {
  static const Library loaded = [] {
    const std::string name = "libcublas.so." + std::to_string(CUDART_VERSION / 1000);
    void* const file = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (file == nullptr) {
      throw Error("learner.products: " + name +
                  " cannot be loaded; install cuBLAS, or use products = \"exact\"");
    }
    Library l{};
    const auto find = [file](auto& function, const char* symbol) {
      void* const at = dlsym(file, symbol);
      if (at == nullptr) throw Error(std::string("libcublas has no ") + symbol);
      function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(at);
    };
    find(l.create, "cublasCreate_v2");
    find(l.set_stream, "cublasSetStream_v2");
    find(l.set_workspace, "cublasSetWorkspace_v2");
    find(l.multiply, "cublasGemmStridedBatchedEx");
    find(l.text, "cublasGetStatusString");
    return l;
  }();
  return loaded;
}

void check(cublasStatus_t status, const char* what, int line) {
  if (status != CUBLAS_STATUS_SUCCESS) {
    throw CudaError(what, __FILE__, line, library().text(status));
  }
}

}  // namespace

Cublas& Cublas::of(int device) {
  static std::mutex mutex;
  static std::map<int, std::unique_ptr<Cublas>> all;
  const std::lock_guard lock(mutex);
  auto& one = all[device];
  if (!one) one.reset(new Cublas(device));
  return *one;
}

// Handle and memory live as long as the program, which ends with the driver's context.
Cublas::Cublas(int device) {
  const Library& cublas = library();
  int before = 0;
  cudaGetDevice(&before);
  cudaSetDevice(device);
  cublasHandle_t handle = nullptr;
  const cublasStatus_t status = cublas.create(&handle);
  void* memory = nullptr;
  const cudaError_t allocated = cudaMalloc(&memory, kWorkspace);
  cudaSetDevice(before);
  check(status, "cublasCreate", __LINE__);
  if (allocated != cudaSuccess) {
    cudaGetLastError();
    throw CudaError("cudaMalloc", __FILE__, __LINE__, cudaGetErrorString(allocated));
  }
  handle_ = handle;
  workspace_ = memory;
}

void Cublas::multiply(CUstream_st* stream, bool tf32, const CublasMatrix& a, const CublasMatrix& b,
                      int m, int n, int k, float* out, int out_pitch, size_t out_stride, bool adds,
                      int count) {
  const Library& cublas = library();
  auto* const handle = static_cast<cublasHandle_t>(handle_);
  const float one = 1.0F;
  const float start = adds ? 1.0F : 0.0F;
  const auto stride = [](size_t entries) { return static_cast<long long>(entries); };
  const auto side = [](const CublasMatrix& x) { return x.transposed ? CUBLAS_OP_T : CUBLAS_OP_N; };
  // a new stream takes the handle's own working memory: give it ours again
  check(cublas.set_stream(handle, stream), "cublasSetStream", __LINE__);
  check(cublas.set_workspace(handle, workspace_, kWorkspace), "cublasSetWorkspace", __LINE__);
  // in cuBLAS's columns our matrices stand on their sides: out' = b' a'
  check(cublas.multiply(handle, side(b), side(a), n, m, k, &one, b.data, CUDA_R_32F, b.pitch,
                        stride(b.stride), a.data, CUDA_R_32F, a.pitch, stride(a.stride), &start,
                        out, CUDA_R_32F, out_pitch, stride(out_stride), count,
                        tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F_PEDANTIC,
                        CUBLAS_GEMM_DEFAULT),
        "cublasGemmStridedBatchedEx", __LINE__);
}

}  // namespace cumarl
