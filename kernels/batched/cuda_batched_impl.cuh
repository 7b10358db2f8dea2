/// \file
/// CudaBatched over the learners of learners.def that have a batched shape. Included by one generated
/// CUDA unit.
#pragma once

#include <string_view>
#include <type_traits>

#include "host/src/cublas.hpp"
#include "kernels/batched/cuda_batched.cuh"
#include "kernels/batched/dispatch.hpp"
#include "kernels/batched/launches.hpp"
#include "kernels/mixing/fused_mixing.cuh"

namespace cumarl::inline CUMARL_VARIANT {

namespace cuda_batched {

/// Without the working memory that launch_teams hands out.
template <class F>
struct Teams {
  F f;
  template <class Team>
  __device__ void operator()(const Team& team, uint64_t i, std::byte*) const {
    f(team, i);
  }
};

/// A launcher (launches.hpp): a tile of 16 lanes a team.
struct Launcher {
  const CudaBackend& backend;
  template <class F>
  void teams(uint64_t n, F f) {
    launch_teams<kColumns>(backend, n, 0, Teams<F>{f});
  }
  template <class F>
  void each(uint64_t n, F f) {
    launch(backend, n, f);
  }
};

template <class L>
struct Start : launches::Launch<L> {
  template <class Team>
  CUMARL_HD void operator()(const Team& team, uint64_t) const {
    using Stages = BatchedStages<L>;
    team.once([&] { reinterpret_cast<JointHead*>(this->run.memory)->diverged = -1; });
    L::init(team, Stages::params(this->run), Stages::own(this->run), this->run.key);
    team.once([&] { Stages::begin(this->run); });
    Stages::prepare(team, this->run);
  }
};

template <class L>
struct Show : launches::Launch<L> {
  template <class Team>
  CUMARL_HD void operator()(const Team& team, uint64_t i) const {
    BatchedStages<L>::show(team, this->run, static_cast<int>(i));
  }
};

// ---- products by cuBLAS -------------------------------------------------------------------------

/// Copies what agents see now from the ring to x [agents][lanes][pitch], whose place does not change.
template <class L>
struct Stage : launches::Launch<L> {
  int number;
  float* x;
  template <class Team>
  CUMARL_HD void operator()(const Team& team, uint64_t i) const {
    if (this->over()) return;
    const BatchedRun& run = this->run;
    const auto lanes = static_cast<uint64_t>(run.s->lanes);
    const int pitch = run.p->pitch;
    const uint64_t ring = run.ring(run.head().rounds + static_cast<uint64_t>(number));
    copy_vector(team, x + i * static_cast<uint64_t>(pitch),
                run.template row<float>(run.s->x, ring, static_cast<int>(i / lanes),
                                        static_cast<int>(i % lanes)),
                pitch);
  }
};

/// Rows y [agents][rows] of `columns` entries, `places` rows from agent to agent: adds the bias of
/// the agent, `stride` entries from agent to agent (null: none), and rectifies.
struct Bias {
  float* y;
  int rows, places, columns;
  const float* bias;
  size_t stride;
  bool rectifies;
  template <class Team>
  CUMARL_HD void operator()(const Team& team, uint64_t i) const {
    const uint64_t agent = i / static_cast<uint64_t>(rows);
    const uint64_t row = agent * static_cast<uint64_t>(places) + i % static_cast<uint64_t>(rows);
    float* const out = y + row * static_cast<uint64_t>(columns);
    const float* const added = bias == nullptr ? nullptr : bias + agent * stride;
    for_columns(team, columns, [&](int k) {
      const float value = added == nullptr ? out[k] : out[k] + added[k];
      out[k] = rectifies && !(value > 0.0F) ? 0.0F : value;
    });
  }
};

/// dy [agents][rows] = 0 where the rectified y [agents][places] is.
struct Unbend {
  const float* y;
  float* dy;
  int rows, places, columns;
  template <class Team>
  CUMARL_HD void operator()(const Team& team, uint64_t i) const {
    const uint64_t agent = i / static_cast<uint64_t>(rows);
    const uint64_t row = agent * static_cast<uint64_t>(places) + i % static_cast<uint64_t>(rows);
    rectify_gradient(team, y + row * static_cast<uint64_t>(columns), columns, 1, columns,
                     dy + i * static_cast<uint64_t>(columns), columns);
  }
};

struct Fill {
  float* out;
  float value;
  CUMARL_HD void operator()(uint64_t i) const { out[i] = value; }
};

/// What row i is to be worth, from what follows it.
template <class L>
struct Want : launches::Launch<L> {
  BatchRows<float> w;
  CUMARL_HD void operator()(uint64_t i) const {
    const auto& p = BatchedStages<L>::params(this->run);
    w.slope[i] = w.reward[i] + (w.ends[i] == 0 ? p.gamma * w.next_total[i] : 0.0F);
  }
};

/// The gradient of all utilities of row i from that of those that were taken.
template <class L>
struct Scatter : launches::Launch<L> {
  BatchRows<float> w;
  template <class Team>
  CUMARL_HD void operator()(const Team& team, uint64_t i) const {
    const auto& p = BatchedStages<L>::params(this->run);
    const auto r = static_cast<int>(i);
    for (int agent = 0; agent < p.agents; ++agent) {
      const size_t at = batch_ops::at(r, kColumns) + static_cast<size_t>(agent);
      const int action = w.action[at];
      float* const out = BatchedStages<L>::agent_row(w.dq, w.rows, agent, r, p.utility.row);
      for_columns(team, p.utility.row, [&](int k) { out[k] = k == action ? w.dchosen[at] : 0.0F; });
    }
  }
};

template <class L>
struct EndUpdate : launches::Launch<L> {
  CUMARL_HD void operator()(uint64_t) const {
    if (!this->over()) BatchedStages<L>::end_update(this->run);
  }
};

/// Where things are in the parameters of the utilities, from the first network's on.
struct Networks {
  size_t input = 0, number = 0, output = 0, output_bias = 0;
  size_t each = 0;  ///< from an agent's matrices to the next one's; 0: they are shared
  size_t number_each = 0;
  bool numbered = false;  ///< there are rows n_i

  template <class L>
  static Networks of(const typename L::Params& p) {
    Networks n;
    bool first = true;
    L::Agents::for_weights(p.utility, [&](const Weights& w) {
      const std::string_view name = w.name;
      if (!first) return;
      if (name == "input") n.input = w.at;
      if (name == "number") {
        n.number = w.at;
        n.numbered = w.rows > 0;
        first = p.utility.width > 0;
      }
      if (name == "output") n.output = w.at;
      if (name == "output_bias") {
        n.output_bias = w.at;
        first = false;
      }
    });
    n.each = p.utility.networks == 1 ? 0 : p.utility.size;
    n.number_each = p.utility.networks > 1 ? p.utility.size : static_cast<size_t>(columns(p));
    return n;
  }
  /// Of the first layer.
  template <class Params>
  static int columns(const Params& p) {
    return p.utility.width > 0 ? p.utility.hidden : p.utility.row;
  }
};

/// The passes of the utilities by cuBLAS. In arrays of agents `rows` rows count, of `places`.
template <class L>
struct Passes {
  const CudaBatchedRun& on;
  const typename L::Params& p;
  Networks nets;
  Cublas& cublas;
  bool tf32;
  Launcher launcher;

  explicit Passes(const CudaBatchedRun& run)
      : on(run),
        p(*reinterpret_cast<const typename L::Params*>(run.p.learner)),
        nets(Networks::of<L>(p)),
        cublas(Cublas::of(run.backend.device())),
        tf32(run.s.products == Products::tf32),
        launcher{run.backend} {}

  void multiply(const CublasMatrix& a, const CublasMatrix& b, int m, int n, int k, float* out,
                int pitch, size_t stride, bool adds, int count) const {
    cublas.multiply(on.backend.stream(), tf32, a, b, m, n, k, out, pitch, stride, adds, count);
  }
  uint64_t all(int rows) const {
    return static_cast<uint64_t>(p.agents) * static_cast<uint64_t>(rows);
  }

  /// q [agents][q_places] from x [agents][places], with hidden [agents][h_places].
  void forward(const float* w, const float* x, int places, int rows, float* hidden, int h_places,
               float* q, int q_places) {
    const auto& u = p.utility;
    const bool deep = u.width > 0;
    const int columns = Networks::columns(p);
    float* const y = deep ? hidden : q;
    const int y_places = deep ? h_places : q_places;
    multiply({x, u.pitch, batch_ops::at(places, u.pitch)}, {w + nets.input, columns, nets.each},
             rows, columns, u.inputs, y, columns, batch_ops::at(y_places, columns), false,
             p.agents);
    if (deep || nets.numbered) {
      launcher.teams(all(rows),
                     Bias{y, rows, y_places, columns, nets.numbered ? w + nets.number : nullptr,
                          nets.number_each, deep});
    }
    if (!deep) return;
    multiply({hidden, u.hidden, batch_ops::at(h_places, u.hidden)},
             {w + nets.output, u.row, nets.each}, rows, u.row, u.width, q, u.row,
             batch_ops::at(q_places, u.row), false, p.agents);
    launcher.teams(all(rows),
                   Bias{q, rows, q_places, u.row, w + nets.output_bias, nets.each, false});
  }

  /// The sum of a'b over agents, or an agent's own a'b, of `rows` rows.
  void weight_gradient(const CublasMatrix& a, const CublasMatrix& b, int m, int n, int rows,
                       float* g, size_t stride) {
    CublasMatrix side = a;
    side.transposed = true;
    if (stride > 0) {
      multiply(side, b, m, n, rows, g, n, stride, false, p.agents);
      return;
    }
    for (int i = 0; i < p.agents; ++i) {
      CublasMatrix left = side;
      CublasMatrix right = b;
      left.data += static_cast<size_t>(i) * a.stride;
      right.data += static_cast<size_t>(i) * b.stride;
      multiply(left, right, m, n, rows, g, n, 0, i > 0, 1);
    }
  }

  /// The gradient g of the utilities from dq [agents][rows]; dh [agents][rows] is working memory,
  /// ones [rows].
  void backward(const float* w, const BatchRows<float>& r, const float* ones, float* g) {
    const auto& u = p.utility;
    const size_t dq_stride = batch_ops::at(r.rows, u.row);
    const CublasMatrix dq{r.dq, u.row, dq_stride};
    const CublasMatrix one{ones, 1, 0};
    CublasMatrix first = dq;  // the gradient behind the first layer
    if (u.width > 0) {
      const size_t h_stride = batch_ops::at(r.places, u.hidden);
      weight_gradient({r.hidden, u.hidden, h_stride}, dq, u.width, u.row, r.rows, g + nets.output,
                      nets.each);
      weight_gradient(one, dq, 1, u.row, r.rows, g + nets.output_bias, nets.each);
      first = {r.next_hidden, u.hidden, batch_ops::at(r.rows, u.hidden)};
      multiply(dq, {w + nets.output, u.row, nets.each, true}, r.rows, u.width, u.row, r.next_hidden,
               u.hidden, first.stride, false, p.agents);
      launcher.teams(all(r.rows), Unbend{r.hidden, r.next_hidden, r.rows, r.places, u.hidden});
    }
    const int columns = Networks::columns(p);
    weight_gradient({r.x, u.pitch, batch_ops::at(r.places, u.pitch)}, first, u.inputs, columns,
                    r.rows, g + nets.input, nets.each);
    if (nets.numbered) {
      CublasMatrix side = one;
      side.transposed = true;
      multiply(side, first, 1, columns, r.rows, g + nets.number, columns, nets.number_each, false,
               p.agents);
    }
  }
};

// ---- what is where in `work` --------------------------------------------------------------------

template <class L>
struct Work {
  using Real = typename L::Real;
  BatchRows<Real> rows{};
  Real *hidden = nullptr, *q = nullptr;     ///< [agents][lanes], to act
  float *x = nullptr, *ones = nullptr;      ///< for cuBLAS
  float *fused = nullptr, *loss = nullptr;  ///< for the fused mixer
  size_t bytes = 0;

  Work(const JointParams& joint, const BatchedShape& s, std::byte* memory) {
    const auto& p = *reinterpret_cast<const typename L::Params*>(joint.learner);
    bytes = BatchedStages<L>::working(p, s.batch, memory, &rows);
    const auto place = [&](auto*& array, size_t count) {
      using T = std::remove_reference_t<decltype(*array)>;
      if (memory != nullptr) array = reinterpret_cast<T*>(memory + bytes);
      bytes += (count * sizeof(T) + 63) / 64 * 64;
    };
    const auto lanes = static_cast<size_t>(s.lanes) * static_cast<size_t>(p.agents);
    place(hidden, lanes * static_cast<size_t>(p.utility.hidden));
    place(q, lanes * static_cast<size_t>(p.utility.row));
    if (s.products == Products::exact) return;
    place(x, lanes * static_cast<size_t>(p.pitch));
    place(ones, static_cast<size_t>(s.batch));
    if constexpr (std::is_same_v<typename L::Mix, MonotonicMixer<float>>) {
      using Tensor = FusedMixing<float, TensorProducts>;  // has more to keep than strict products
      place(fused, Tensor::workspace(p.mixer, s.batch));
      place(loss, 1);
    }
  }
};

/// Calls f.template operator()<L>().
template <class F>
void dispatch(const CudaBatchedRun& on, F f) {
  dispatch_batched(on.p, f);
}

/// The run with host copies of its parameters: for addresses, never for what is there.
inline BatchedRun addresses(const CudaBatchedRun& on) {
  return {&on.p, &on.s, on.run.memory, on.run.key};
}

}  // namespace cuda_batched

template <int N>
size_t CudaBatchedOf<N>::work_bytes(const JointParams& p, const BatchedShape& s) {
  size_t bytes = 0;
  dispatch_batched(p, [&]<class L>() { bytes = cuda_batched::Work<L>(p, s, nullptr).bytes; });
  return bytes;
}

template <int N>
void CudaBatchedOf<N>::check(const CudaBatchedRun& on) {
  if (on.s.products != Products::exact) Cublas::of(on.backend.device());
}

template <int N>
void CudaBatchedOf<N>::start(const CudaBatchedRun& on) {
  cuda_batched::dispatch(on, [&]<class L>() {
    cuda_batched::Launcher{on.backend}.teams(1, cuda_batched::Start<L>{{on.run}});
  });
}

template <int N>
void CudaBatchedOf<N>::show(const CudaBatchedRun& on) {
  cuda_batched::dispatch(on, [&]<class L>() {
    cuda_batched::Launcher{on.backend}.teams(static_cast<uint64_t>(on.s.lanes),
                                             cuda_batched::Show<L>{{on.run}});
  });
}

template <int N>
void CudaBatchedOf<N>::act(const CudaBatchedRun& on, int number) {
  cuda_batched::dispatch(on, [&]<class L>() {
    const cuda_batched::Work<L> work(on.p, on.s, on.work);
    const LaunchSizes n = launch_sizes<L>(on.p, on.s, on.policy);
    cuda_batched::Launcher launcher{on.backend};
    if constexpr (std::is_same_v<typename L::Real, float>) {
      if (on.s.products != Products::exact) {
        cuda_batched::Passes<L> passes(on);
        launcher.teams(n.lanes * n.agents, cuda_batched::Stage<L>{{on.run}, number, work.x});
        passes.forward(L::weights(passes.p, BatchedStages<L>::own(cuda_batched::addresses(on))),
                       work.x, on.s.lanes, on.s.lanes, work.hidden, on.s.lanes, work.q, on.s.lanes);
        launcher.each(n.lanes, launches::Choose<L>{{on.run}, number, work.q});
        return;
      }
    }
    launch_actions<L>(launcher, n, on.run, number, work.hidden, work.q);
  });
}

template <int N>
void CudaBatchedOf<N>::keep(const CudaBatchedRun& on, int number) {
  cuda_batched::dispatch(on, [&]<class L>() {
    cuda_batched::Launcher launcher{on.backend};
    launch_keeping<L>(launcher, launch_sizes<L>(on.p, on.s, on.policy), on.run, number);
  });
}

template <int N>
void CudaBatchedOf<N>::end_rollout(const CudaBatchedRun& on) {
  cuda_batched::dispatch(on, [&]<class L>() {
    cuda_batched::Launcher launcher{on.backend};
    launch_end_rollout<L>(launcher, on.run);
  });
}

template <int N>
void CudaBatchedOf<N>::update(const CudaBatchedRun& on) {
  cuda_batched::dispatch(on, [&]<class L>() {
    const cuda_batched::Work<L> work(on.p, on.s, on.work);
    const LaunchSizes n = launch_sizes<L>(on.p, on.s, on.policy);
    cuda_batched::Launcher launcher{on.backend};
    if constexpr (std::is_same_v<typename L::Real, float>) {
      if (on.s.products != Products::exact) {
        using Stages = BatchedStages<L>;
        cuda_batched::Passes<L> passes(on);
        const BatchedRun at = cuda_batched::addresses(on);
        const auto& p = passes.p;
        const BatchRows<float>& r = work.rows;
        const float* const mine = L::weights(p, Stages::own(at));
        launcher.each(n.batch, cuda_batched::Fill{work.ones, 1.0F});
        launcher.teams(n.batch, launches::Gather<L>{{on.run}, r});
        passes.forward(mine, r.x, r.places, p.double_q ? r.places : r.rows, r.hidden, r.places, r.q,
                       r.places);
        passes.forward(L::targets(p, Stages::own(at)), r.x + batch_ops::at(r.rows, p.pitch),
                       r.places, r.rows, r.next_hidden, r.rows, r.target_q, r.rows);
        launcher.each(n.batch, launches::Select<L>{{on.run}, r});
        if constexpr (std::is_same_v<typename L::Mix, MonotonicMixer<float>>) {
          const float* const target = L::targets(p, Stages::own(at));
          float* const g = L::gradient(p, Stages::own(at));
          const auto fused = [&]<class Kind>(Kind) {
            MixingBatch<float> next{};
            next.rows = r.rows;
            next.state = r.next_state;
            next.q = r.next_chosen;
            next.slope = r.reward;  // not used
            next.total = r.next_total;
            launch_fused_mixing<Kind>(on.backend, p.mixer, target + p.mixer_at, next, work.fused,
                                      g + p.mixer_at, work.loss);
            launcher.each(n.batch, cuda_batched::Want<L>{{on.run}, r});
            MixingBatch<float> now{};
            now.rows = r.rows;
            now.state = r.state;
            now.q = r.chosen;
            now.target = r.slope;
            now.scale = 1.0F / static_cast<float>(on.s.batch);
            now.total = r.total;
            now.dq = r.dchosen;
            launch_fused_mixing<Kind>(on.backend, p.mixer, mine + p.mixer_at, now, work.fused,
                                      g + p.mixer_at, work.loss);
          };
          if (passes.tf32) {
            fused(TensorProducts{});
          } else {
            fused(StrictProducts{});
          }
          launcher.teams(n.batch, cuda_batched::Scatter<L>{{on.run}, r});
          passes.backward(mine, r, work.ones, g);
          launch_step<L>(launcher, n, on.run);
          launcher.each(1, cuda_batched::EndUpdate<L>{{on.run}});
          return;
        }
        launcher.teams(n.tiles, launches::Mixing<L>{{on.run}, r});
        // tiles have zeros for the utilities: these are the first one's
        passes.backward(mine, r, work.ones, Stages::tile_gradient(p, r, 0));
        launch_descent<L>(launcher, n, on.run, r);
        return;
      }
    }
    launch_update<L>(launcher, n, on.run, work.rows);
  });
}

}  // namespace cumarl::inline CUMARL_VARIANT
