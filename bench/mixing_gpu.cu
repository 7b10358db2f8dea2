/// \file
/// Time of the fused mixing kernel on a GPU: joint values, their slopes and the gradient of a batch
/// of 65,536 samples, 8 agents, state 64, embed 32, hypernetworks of 64, by CUDA events.
/// `bench/peers/mixing_peers.py --fused 65536 8` times the same in JAX.
///
/// usage: mixing_gpu [ROWS]. Prints a line of JSON for strict float32 and for TF32: median and
/// least of 50 times after 10 for warming up, and the loss, which both must agree on.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <vector>

#include "kernels/mixing/fused_mixing.cuh"

namespace {

using namespace cumarl;
using Mix = MonotonicMixer<float>;

float* on_device(const std::vector<float>& from) {
  float* at = nullptr;
  CUMARL_CUDA_CHECK(cudaMalloc(&at, from.size() * sizeof(float)));
  CUMARL_CUDA_CHECK(
      cudaMemcpy(at, from.data(), from.size() * sizeof(float), cudaMemcpyHostToDevice));
  return at;
}

template <class Products>
float time_it(const char* name, const CudaBackend& backend, const Mix::Shape& shape,
              const float* weights, const MixingBatch<float>& batch) {
  using Fused = FusedMixing<float, Products>;
  float* const work = on_device(std::vector<float>(Fused::workspace(shape, batch.rows)));
  float* const gradient = on_device(std::vector<float>(Fused::parameters(shape)));
  float* const loss = on_device({0});
  cudaEvent_t begin{}, end{};
  CUMARL_CUDA_CHECK(cudaEventCreate(&begin));
  CUMARL_CUDA_CHECK(cudaEventCreate(&end));
  std::vector<float> times;
  for (int k = 0; k < 60; ++k) {
    CUMARL_CUDA_CHECK(cudaEventRecord(begin, backend.stream()));
    launch_fused_mixing<Products>(backend, shape, weights, batch, work, gradient, loss);
    CUMARL_CUDA_CHECK(cudaEventRecord(end, backend.stream()));
    CUMARL_CUDA_CHECK(cudaEventSynchronize(end));
    float ms = 0;
    CUMARL_CUDA_CHECK(cudaEventElapsedTime(&ms, begin, end));
    if (k >= 10) times.push_back(ms);
  }
  std::sort(times.begin(), times.end());
  float value = 0;
  CUMARL_CUDA_CHECK(cudaMemcpy(&value, loss, sizeof(value), cudaMemcpyDeviceToHost));
  std::printf(
      "{\"program\": \"cumarl\", \"products\": \"%s\", \"rows\": %lld, \"agents\": %d, "
      "\"tile\": %d, \"ms\": %.4f, \"least_ms\": %.4f, \"loss\": %.6g}\n",
      name, static_cast<long long>(batch.rows), shape.agents,
      mixing_tile<Products, float>(backend, shape), static_cast<double>(times[times.size() / 2]),
      static_cast<double>(times[0]), static_cast<double>(value));
  for (float* const at : {work, gradient, loss}) CUMARL_CUDA_CHECK(cudaFree(at));
  CUMARL_CUDA_CHECK(cudaEventDestroy(begin));
  CUMARL_CUDA_CHECK(cudaEventDestroy(end));
  return value;
}

int run(size_t rows) {
  constexpr int kAgents = 8, kState = 64;
  const Mix::Shape shape = Mix::make({}, {kAgents, 1, nullptr, kState, padded(kState)});
  std::mt19937 rng(1);
  const auto any = [&rng] { return static_cast<float>(rng()) / 2147483648.0F - 1.0F; };
  std::vector<float> weights(Mix::parameters(shape)), state(rows * kState), q(rows * kColumns),
      target(rows);
  Mix::for_weights(shape, [&](const Weights& w) {
    for (int m = 0; m < w.rows; ++m) {
      for (int n = 0; n < w.columns; ++n) {
        weights[w.at + static_cast<size_t>(m * w.pitch + n)] =
            any() / std::sqrt(static_cast<float>(w.fan_in));
      }
    }
  });
  for (float& x : state) x = any();
  for (float& x : target) x = any();
  for (size_t k = 0; k < q.size(); ++k) q[k] = k % kColumns < kAgents ? any() : 0.0F;

  const CudaBackend backend(0);
  const float* const w = on_device(weights);
  const MixingBatch<float> batch{static_cast<int64_t>(rows),
                                 on_device(state),
                                 on_device(q),
                                 nullptr,
                                 on_device(target),
                                 nullptr,
                                 1.0F / static_cast<float>(rows),
                                 on_device(std::vector<float>(rows)),
                                 on_device(std::vector<float>(q.size()))};
  const float strict = time_it<StrictProducts>("float32", backend, shape, w, batch);
  const float tensor = time_it<TensorProducts>("tf32", backend, shape, w, batch);
  if (std::fabs(tensor - strict) <= 1e-2F * strict) return 0;
  std::fprintf(stderr, "the losses differ\n");
  return 1;
}

}  // namespace

int main(int count, char** arguments) {
  const long long rows = count > 1 ? std::atoll(arguments[1]) : 65'536;
  if (rows < 1 || rows > 100'000'000) {
    std::fprintf(stderr, "mixing_gpu: ROWS must be in 1..100000000, not %s\n", arguments[1]);
    return 2;
  }
  try {
    return run(static_cast<size_t>(rows));
  } catch (const Error& error) {
    std::fprintf(stderr, "mixing_gpu: %s\n", error.what());
    return 1;
  }
}
