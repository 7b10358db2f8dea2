/// Fused mixing on a GPU: strict products give the CPU's bits, tensor cores stay within the
/// tolerance of TF32. Skipped without a device, failed without one when CUMARL_REQUIRE_GPU=1.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string_view>
#include <vector>

#include "kernels/mixing/fused_mixing.cuh"

namespace {

using namespace cumarl;

class FusedMixingGpu : public testing::Test {
 protected:
  void SetUp() override {
    int devices = 0;
    if (cudaGetDeviceCount(&devices) == cudaSuccess && devices > 0) return;
    const char* required = std::getenv("CUMARL_REQUIRE_GPU");
    if (required != nullptr && std::string_view(required) == "1") FAIL() << "no CUDA device";
    GTEST_SKIP() << "no CUDA device";
  }
};

/// Numbers on the device.
template <class Real>
class Numbers {
 public:
  explicit Numbers(size_t count) : count_(count) {
    CUMARL_CUDA_CHECK(cudaMalloc(&data_, (count + 1) * sizeof(Real)));
    CUMARL_CUDA_CHECK(cudaMemset(data_, 0xFF, (count + 1) * sizeof(Real)));  // NaNs
  }
  explicit Numbers(const std::vector<Real>& from) : Numbers(from.size()) {
    CUMARL_CUDA_CHECK(
        cudaMemcpy(data_, from.data(), from.size() * sizeof(Real), cudaMemcpyHostToDevice));
  }
  Numbers(const Numbers&) = delete;
  ~Numbers() { cudaFree(data_); }
  Real* data() const { return data_; }
  std::vector<Real> back() const {
    std::vector<Real> out(count_);
    CUMARL_CUDA_CHECK(cudaMemcpy(out.data(), data_, count_ * sizeof(Real), cudaMemcpyDeviceToHost));
    return out;
  }

 private:
  size_t count_;
  Real* data_ = nullptr;
};

struct Setting {
  int agents, state, embed, width, layers, activation, rows;
};

/// 64-byte aligned memory of the host.
template <class Real>
struct Aligned {
  explicit Aligned(size_t count)
      : data(static_cast<Real*>(::operator new (count * sizeof(Real) + 64, std::align_val_t{64}))) {
    std::memset(static_cast<void*>(data), 0, count * sizeof(Real));
  }
  Aligned(const Aligned&) = delete;
  ~Aligned() { ::operator delete (data, std::align_val_t{64}); }
  Real* data;
};

template <class Real>
struct Results {
  std::vector<Real> total, dq, gradient, loss;
};

template <class Real>
class Case {
 public:
  using Mix = MonotonicMixer<Real>;
  explicit Case(const Setting& t) {
    typename Mix::Config c;
    c.embed = t.embed;
    c.width = t.width;
    c.layers = t.layers;
    c.activation.value = t.activation;
    shape = Mix::make(c, {t.agents, 1, nullptr, t.state, padded(t.state)});
    rows = t.rows;
    std::mt19937 rng(1);
    const auto any = [&rng] { return static_cast<Real>(rng()) / Real(2147483648.0) - Real(1); };
    weights.resize(Mix::parameters(shape));
    Mix::for_weights(shape, [&](const Weights& w) {
      for (int m = 0; m < w.rows; ++m) {
        for (int n = 0; n < w.columns; ++n) {
          weights[w.at + static_cast<size_t>(m * w.pitch + n)] =
              any() / std::sqrt(static_cast<Real>(w.fan_in));
        }
      }
    });
    const auto count = static_cast<size_t>(rows);
    state.resize(count * static_cast<size_t>(shape.state_pitch));
    q.resize(count * kColumns);
    for (size_t r = 0; r < count; ++r) {
      for (int k = 0; k < t.state; ++k) {
        state[r * static_cast<size_t>(shape.state_pitch) + static_cast<size_t>(k)] = any();
      }
      for (int i = 0; i < t.agents; ++i) q[r * kColumns + static_cast<size_t>(i)] = any();
      target.push_back(3 * any());
      weight.push_back(rng() % 5 == 0 ? Real(0) : Real(1));
    }
  }

  template <class Products>
  Results<Real> on_gpu() const {
    const CudaBackend backend(0);
    using Fused = FusedMixing<Real, Products>;
    const Numbers<Real> w(weights), s(state), u(q), y(target), m(weight);
    const Numbers<Real> total(target.size()), work(Fused::workspace(shape, rows)),
        gradient(weights.size()), loss(1);
    const Numbers<Real> dq(std::vector<Real>(q.size()));
    const MixingBatch<Real> batch{rows,     s.data(),     u.data(),     nullptr,  y.data(),
                                  m.data(), Real(0.0625), total.data(), dq.data()};
    launch_fused_mixing<Products>(backend, shape, w.data(), batch, work.data(), gradient.data(),
                                  loss.data());
    backend.synchronize();
    return {total.back(), dq.back(), gradient.back(), loss.back()};
  }

  template <class Products>
  Results<Real> on_cpu() const {
    using Fused = FusedMixing<Real, Products>;
    const Aligned<Real> w(weights.size()), s(state.size()), u(q.size()),
        work(Fused::workspace(shape, rows)), gradient(weights.size()), dq(q.size()),
        total(target.size()), scratch(Fused::template scratch<SerialTeam>(shape, 16));
    std::copy(weights.begin(), weights.end(), w.data);
    std::copy(state.begin(), state.end(), s.data);
    std::copy(q.begin(), q.end(), u.data);
    const MixingBatch<Real> batch{rows,          s.data,       u.data,     nullptr, target.data(),
                                  weight.data(), Real(0.0625), total.data, dq.data};
    Results<Real> out;
    out.loss.resize(1);
    Fused::run(SerialTeam{}, shape, w.data, batch, 16, work.data, scratch.data, gradient.data,
               out.loss.data());
    out.total.assign(total.data, total.data + target.size());
    out.dq.assign(dq.data, dq.data + q.size());
    out.gradient.assign(gradient.data, gradient.data + weights.size());
    return out;
  }

  typename Mix::Shape shape{};
  int rows = 0;
  std::vector<Real> weights, state, q, target, weight;
};

const Setting kSettings[] = {{8, 64, 32, 64, 2, 0, 1000},   {1, 1, 1, 1, 1, 0, 1},
                             {16, 256, 64, 128, 2, 1, 300}, {3, 17, 20, 33, 2, 0, 777},
                             {5, 40, 33, 1, 1, 1, 130},     {8, 65, 32, 64, 2, 0, 20'000}};

template <class Real>
void expect_bits() {
  for (const Setting& t : kSettings) {
    const Case<Real> c(t);
    const auto gpu = c.template on_gpu<StrictProducts>();
    const auto cpu = c.template on_cpu<StrictProducts>();
    EXPECT_EQ(gpu.total, cpu.total) << t.agents;
    EXPECT_EQ(gpu.dq, cpu.dq) << t.agents;
    EXPECT_EQ(gpu.gradient, cpu.gradient) << t.agents;
    EXPECT_EQ(gpu.loss, cpu.loss) << t.agents;
  }
}
TEST_F(FusedMixingGpu, StrictProductsGiveTheBitsOfTheCpu) { expect_bits<float>(); }
TEST_F(FusedMixingGpu, StrictProductsGiveTheBitsOfTheCpuInFloat64) { expect_bits<double>(); }

double distance(const std::vector<float>& got, const std::vector<float>& want) {
  double difference = 0, size = 1e-30;
  for (size_t k = 0; k < want.size(); ++k) {
    difference += std::pow(static_cast<double>(got[k]) - static_cast<double>(want[k]), 2);
    size += std::pow(static_cast<double>(want[k]), 2);
  }
  return std::sqrt(difference / size);
}

// The tolerances are those of the emulated products (fused_mixing_test.cpp). Against the emulation
// only the order of sums differs, but for entries of W that it moves across zero.
TEST_F(FusedMixingGpu, TensorProductsStayNear) {
  for (const Setting& t : kSettings) {
    const Case<float> c(t);
    const auto gpu = c.on_gpu<TensorProducts>();
    const auto strict = c.on_cpu<StrictProducts>();
    const auto rounded = c.on_cpu<RoundedProducts>();
    EXPECT_LE(distance(gpu.total, strict.total), 1e-3) << t.agents;
    EXPECT_LE(distance(gpu.dq, strict.dq), 2e-3) << t.agents;
    EXPECT_LE(distance(gpu.gradient, strict.gradient), 5e-2) << t.agents;
    EXPECT_LE(distance(gpu.total, rounded.total), 1e-4) << t.agents;
    EXPECT_LE(distance(gpu.gradient, rounded.gradient), 2e-2) << t.agents;
    const auto again = c.on_gpu<TensorProducts>();
    EXPECT_EQ(gpu.gradient, again.gradient) << "two runs differ";
  }
}

}  // namespace
