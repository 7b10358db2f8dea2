/// \file
/// A device that runs rollouts: its memory and its launches. One implementation for CPU threads
/// (executor.cpp), one for a GPU (cuda_executor.cu).
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "host/src/model.hpp"

namespace cumarl {

class Executor {
 public:
  explicit Executor(const Policies& policies) : policies_(policies) {}
  virtual ~Executor() = default;

  /// Tuning of what is launched.
  const Policies& policies() const { return policies_; }
  /// "cpu" or "cuda:0 (NVIDIA H200)".
  virtual std::string name() const = 0;
  /// Memory that can be allocated now, in bytes.
  virtual size_t free_memory() const = 0;
  /// Runs of `run_bytes` worth having in one batch: enough to fill the device.
  virtual uint64_t useful_batch(uint64_t run_bytes) const = 0;
  /// Joint steps a run may advance in one launch, so that the host hears of it now and then.
  virtual uint64_t launch_budget() const = 0;

  virtual std::unique_ptr<Arena> arena() = 0;
  /// 64-byte aligned, contents undefined. Throws std::bad_alloc or CudaError.
  virtual std::byte* allocate(size_t bytes) = 0;
  virtual void release(std::byte* memory) noexcept = 0;
  virtual void copy_in(void* device, const void* host, size_t bytes) = 0;
  virtual void copy_out(void* host, const void* device, size_t bytes) = 0;

  /// Blocking launches over r.live.
  virtual void start(const PairModel& pair, int shape, const Rollout& r) = 0;
  virtual void advance(const PairModel& pair, int shape, const Rollout& r) = 0;
  virtual void finish(const PairModel& pair, int shape, const Rollout& r) = 0;

  /// Seconds of all launches so far by the device's own clock; 0 where it has none.
  virtual double launch_seconds() const { return 0; }

 private:
  Policies policies_;
};

/// Memory of an executor, released with its owner.
class DeviceBuffer {
 public:
  DeviceBuffer(Executor& executor, size_t bytes)
      : executor_(&executor), data_(executor.allocate(bytes)) {}
  DeviceBuffer(const DeviceBuffer&) = delete;
  DeviceBuffer& operator=(const DeviceBuffer&) = delete;
  ~DeviceBuffer() { executor_->release(data_); }
  std::byte* data() const { return data_; }

 private:
  Executor* executor_;
  std::byte* data_;
};

/// `device`: "auto", "cpu", "cuda", "cuda:I"; `threads`: CPU threads, 0 for all. Throws DeviceError.
/// Pre: check_policies(policies).
std::unique_ptr<Executor> make_executor(const std::string& device, int threads,
                                        const Policies& policies = kPolicies);

/// Names of the devices present: "cpu", "cuda:0", ...
std::vector<std::string> present_devices();

/// Implemented by cuda_executor.cu, or by no_cuda.cpp in a build without CUDA (none present).
int cuda_device_count();
std::unique_ptr<Executor> make_cuda_executor(int device, const Policies& policies);
/// One line a device for `cumarl doctor`: name, memory, compute capability, driver and runtime.
std::vector<std::string> cuda_description();

}  // namespace cumarl
