// The executor of a GPU: plain allocations, one stream, every call returns when it is done.
#include <algorithm>
#include <utility>

#include "cumarl/error.hpp"
#include "host/src/executor.hpp"
#include "kernels/core/launch.cuh"

namespace cumarl {
namespace {

/// `bytes` bytes of device memory, at least one.
std::byte* device_allocate(int device, size_t bytes) {
  const CudaDeviceScope scope(device);
  void* memory = nullptr;
  CUMARL_CUDA_CHECK(cudaMalloc(&memory, std::max<size_t>(bytes, 1)));
  return static_cast<std::byte*>(memory);
}

/// Copies on the backend's own stream and waits: cudaMemcpy may return before the last bytes of
/// pageable memory arrive, and a stream that does not block would not wait for them.
void copy(const CudaBackend& backend, void* to, const void* from, size_t bytes,
          cudaMemcpyKind kind) {
  if (bytes == 0) return;
  const CudaDeviceScope scope(backend.device());
  CUMARL_CUDA_CHECK(cudaMemcpyAsync(to, from, bytes, kind, backend.stream()));
  backend.synchronize();
}

/// Outlived by the backend.
class CudaArena final : public Arena {
 public:
  explicit CudaArena(const CudaBackend& backend) : backend_(backend) {}
  CudaArena(const CudaArena&) = delete;
  CudaArena& operator=(const CudaArena&) = delete;
  ~CudaArena() override {
    for (std::byte* block : blocks_) cudaFree(block);
  }

 private:
  const void* store_bytes(const void* bytes, size_t count) override {
    blocks_.push_back(nullptr);
    blocks_.back() = device_allocate(backend_.device(), count);
    copy(backend_, blocks_.back(), bytes, count, cudaMemcpyHostToDevice);
    return blocks_.back();
  }

  const CudaBackend& backend_;
  std::vector<std::byte*> blocks_;
};

/// A moment on a stream.
class CudaEvent {
 public:
  explicit CudaEvent(int device) {
    const CudaDeviceScope scope(device);
    CUMARL_CUDA_CHECK(cudaEventCreate(&event_));
  }
  CudaEvent(const CudaEvent&) = delete;
  CudaEvent& operator=(const CudaEvent&) = delete;
  ~CudaEvent() { cudaEventDestroy(event_); }
  cudaEvent_t get() const { return event_; }

 private:
  cudaEvent_t event_ = nullptr;
};

class CudaExecutor final : public Executor {
 public:
  CudaExecutor(int device, const Policies& policies)
      : Executor(policies), backend_(device), before_(device), after_(device) {
    cudaDeviceProp facts{};
    CUMARL_CUDA_CHECK(cudaGetDeviceProperties(&facts, device));
    name_ = "cuda:" + std::to_string(device) + " (" + facts.name + ")";
    processors_ = static_cast<uint64_t>(facts.multiProcessorCount);
  }

  std::string name() const override { return name_; }
  size_t free_memory() const override {
    const CudaDeviceScope scope(backend_.device());
    size_t free = 0;
    size_t total = 0;
    CUMARL_CUDA_CHECK(cudaMemGetInfo(&free, &total));
    return free;
  }
  uint64_t useful_batch(uint64_t) const override {
    return processors_ * policies().cuda_batch.runs_per_processor;
  }
  uint64_t launch_budget() const override { return policies().cuda_batch.steps; }

  std::unique_ptr<Arena> arena() override { return std::make_unique<CudaArena>(backend_); }
  std::byte* allocate(size_t bytes) override { return device_allocate(backend_.device(), bytes); }
  void release(std::byte* memory) noexcept override { cudaFree(memory); }
  void copy_in(void* device, const void* host, size_t bytes) override {
    copy(backend_, device, host, bytes, cudaMemcpyHostToDevice);
  }
  void copy_out(void* host, const void* device, size_t bytes) override {
    copy(backend_, host, device, bytes, cudaMemcpyDeviceToHost);
  }

  void start(const PairModel& pair, int shape, const Rollout& r) override {
    timed([&] { pair.cuda_kernels(shape).start(backend_, r); });
  }
  void advance(const PairModel& pair, int shape, const Rollout& r) override {
    timed([&] { pair.cuda_kernels(shape).advance(backend_, r); });
  }
  void finish(const PairModel& pair, int shape, const Rollout& r) override {
    timed([&] { pair.cuda_kernels(shape).finish(backend_, r); });
  }
  double launch_seconds() const override { return launch_seconds_; }

 private:
  /// Launches between two events, waits, and adds the time between them.
  template <class F>
  void timed(const F& launches) {
    const CudaDeviceScope scope(backend_.device());
    CUMARL_CUDA_CHECK(cudaEventRecord(before_.get(), backend_.stream()));
    launches();
    CUMARL_CUDA_CHECK(cudaEventRecord(after_.get(), backend_.stream()));
    backend_.synchronize();
    float ms = 0;
    CUMARL_CUDA_CHECK(cudaEventElapsedTime(&ms, before_.get(), after_.get()));
    launch_seconds_ += 1e-3 * static_cast<double>(ms);
  }

  CudaBackend backend_;
  CudaEvent before_, after_;
  double launch_seconds_ = 0;
  std::string name_;
  uint64_t processors_ = 0;
};

/// "13.0" for 13000.
std::string version(int number) {
  return std::to_string(number / 1000) + '.' + std::to_string(number % 1000 / 10);
}

/// Devices, and why there are none.
std::pair<int, std::string> count_devices() {
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status == cudaSuccess) return {count, ""};
  cudaGetLastError();
  return {0, cudaGetErrorString(status)};
}

}  // namespace

int cuda_device_count() { return count_devices().first; }

std::unique_ptr<Executor> make_cuda_executor(int device, const Policies& policies) {
  return std::make_unique<CudaExecutor>(device, policies);
}

std::vector<std::string> cuda_description() {
  int runtime = 0;
  int driver = 0;
  cudaRuntimeGetVersion(&runtime);
  cudaDriverGetVersion(&driver);
  const std::string versions =
      (driver > 0 ? "driver for CUDA " + version(driver) : std::string("no driver")) +
      ", runtime " + version(runtime);
  const auto [count, why] = count_devices();
  if (count == 0) {
    return {"no CUDA device (" + (why.empty() ? "" : why + "; ") + versions + ")"};
  }
  std::vector<std::string> lines;
  for (int i = 0; i < count; ++i) {
    cudaDeviceProp facts{};
    CUMARL_CUDA_CHECK(cudaGetDeviceProperties(&facts, i));
    lines.push_back("cuda:" + std::to_string(i) + " " + facts.name + ", " +
                    std::to_string(facts.totalGlobalMem >> 20) + " MiB, compute capability " +
                    std::to_string(facts.major) + '.' + std::to_string(facts.minor) + ", " +
                    versions);
  }
  return lines;
}

}  // namespace cumarl
