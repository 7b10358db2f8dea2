#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "kernels/core/launch.hpp"

namespace cumarl {

void CpuBackend::parallel(void (*body)(void*, int), void* context) const {
  std::exception_ptr failure;
  std::mutex mutex;
  const auto guarded = [&](int worker) {
    try {
      body(context, worker);
    } catch (...) {
      const std::lock_guard lock(mutex);
      if (!failure) failure = std::current_exception();
    }
  };
  std::vector<std::jthread> others;
  for (int worker = 1; worker < threads_; ++worker) others.emplace_back(guarded, worker);
  guarded(0);
  others.clear();
  if (failure) std::rethrow_exception(failure);
}

}  // namespace cumarl
