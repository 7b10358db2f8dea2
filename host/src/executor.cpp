#include "host/src/executor.hpp"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <fstream>
#include <new>
#include <thread>

#include "cumarl/error.hpp"

namespace cumarl {
namespace {

class CpuExecutor final : public Executor {
 public:
  CpuExecutor(int threads, const Policies& policies) : Executor(policies), backend_(threads) {}

  std::string name() const override { return "cpu"; }
  size_t free_memory() const override {
    std::ifstream info("/proc/meminfo");
    for (std::string key, rest; info >> key && std::getline(info, rest);) {
      if (key == "MemAvailable:") return std::stoull(rest) * 1024;
    }
    return static_cast<size_t>(sysconf(_SC_AVPHYS_PAGES)) *
           static_cast<size_t>(sysconf(_SC_PAGESIZE));
  }
  /// See CpuBatchPolicy.
  uint64_t useful_batch(uint64_t run_bytes) const override {
    const CpuBatchPolicy& p = policies().cpu_batch;
    const uint64_t fewest = p.runs_per_thread * static_cast<uint64_t>(backend_.threads());
    return std::clamp(p.bytes / std::max<uint64_t>(run_bytes, 1), std::min(fewest, p.runs), p.runs);
  }
  uint64_t launch_budget() const override { return ~uint64_t{0}; }

  std::unique_ptr<Arena> arena() override { return std::make_unique<HostArena>(); }
  std::byte* allocate(size_t bytes) override {
    return static_cast<std::byte*>(::operator new (bytes + 1, std::align_val_t{64}));
  }
  void release(std::byte* memory) noexcept override {
    ::operator delete (memory, std::align_val_t{64});
  }
  void copy_in(void* device, const void* host, size_t bytes) override {
    if (bytes > 0) std::memcpy(device, host, bytes);
  }
  void copy_out(void* host, const void* device, size_t bytes) override {
    if (bytes > 0) std::memcpy(host, device, bytes);
  }
  void start(const PairModel& pair, int shape, const Rollout& r) override {
    pair.cpu_kernels(shape).start(backend_, r);
  }
  void advance(const PairModel& pair, int shape, const Rollout& r) override {
    pair.cpu_kernels(shape).advance(backend_, r);
  }
  void finish(const PairModel& pair, int shape, const Rollout& r) override {
    pair.cpu_kernels(shape).finish(backend_, r);
  }

 private:
  CpuBackend backend_;
};

}  // namespace

std::vector<std::string> present_devices() {
  std::vector<std::string> names{"cpu"};
  for (int i = 0; i < cuda_device_count(); ++i) names.push_back("cuda:" + std::to_string(i));
  return names;
}

std::unique_ptr<Executor> make_executor(const std::string& device, int threads,
                                        const Policies& policies) {
  if (device == "auto") {
    if (cuda_device_count() > 0) return make_cuda_executor(0, policies);
  } else if (device == "cuda" || device.starts_with("cuda:")) {
    int index = 0;
    const char* end = device.data() + device.size();
    const bool whole =
        device == "cuda" ||
        (device.size() > 5 && std::from_chars(device.data() + 5, end, index).ptr == end);
    if (!whole || index < 0 || index >= cuda_device_count()) {
      throw DeviceError(device, present_devices());
    }
    return make_cuda_executor(index, policies);
  } else if (device != "cpu") {
    throw DeviceError(device, present_devices(), "devices are auto, cpu, cuda and cuda:I");
  }
  const int all = static_cast<int>(std::thread::hardware_concurrency());
  return std::make_unique<CpuExecutor>(threads > 0 ? threads : (all > 0 ? all : 1), policies);
}

}  // namespace cumarl
