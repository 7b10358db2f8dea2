// The CUDA side of a build without CUDA: there is no such device.
#include "cumarl/error.hpp"
#include "host/src/executor.hpp"
#include "host/src/kernel_choice.hpp"

namespace cumarl {

int cuda_device_count() { return 0; }

std::unique_ptr<Executor> make_cuda_executor(int device, const Policies&) {
  throw DeviceError("cuda:" + std::to_string(device), {"cpu"}, "this build has no CUDA");
}

std::vector<std::string> cuda_description() { return {"this build has no CUDA"}; }

Kernels<CudaBackend> no_cuda_kernels(int) {
  throw DeviceError("cuda", {"cpu"}, "this build has no CUDA");
}

}  // namespace cumarl
