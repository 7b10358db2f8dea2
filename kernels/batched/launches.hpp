/// \file
/// An iteration of a batched run as a list of launches, for a backend that computes one stage after
/// another for all lanes or rows at once: a GPU (cuda_batched.cuh), and tests of it without one.
///
/// A launcher has
///   teams(n, f)   f(team, i) for i in [0, n), up to 16 lanes each
///   each(n, f)    f(i)
/// with all memory that a launch has written seen by the next one.
#pragma once

#include "kernels/batched/stages.hpp"
#include "kernels/rollout/policies.hpp"

namespace cumarl::inline CUMARL_VARIANT {

namespace launches {

/// What all launches hold; a run that has diverged stands still.
template <class L>
struct Launch {
  BatchedRun run;
  CUMARL_HD bool over() const { return run.head().diverged >= 0; }
};

template <class L>
struct Utilities : Launch<L> {
  int number;
  int rows;                      ///< of a team
  typename L::Real *hidden, *q;  ///< [agents][lanes]
  template <class Team>
  CUMARL_HD void operator()(const Team& team, uint64_t i) const {
    if (this->over()) return;
    const auto& p = BatchedStages<L>::params(this->run);
    const int lanes = this->run.s->lanes;
    const auto agent = static_cast<int>(i % static_cast<uint64_t>(p.agents));
    const int first = static_cast<int>(i / static_cast<uint64_t>(p.agents)) * rows;
    const int count = lanes - first < rows ? lanes - first : rows;
    using Stages = BatchedStages<L>;
    Stages::utilities(team, this->run, number, agent, first, count,
                      Stages::agent_row(hidden, lanes, agent, first, p.utility.hidden),
                      Stages::agent_row(q, lanes, agent, first, p.utility.row));
  }
};

template <class L>
struct Choose : Launch<L> {
  int number;
  const typename L::Real* q;
  CUMARL_HD void operator()(uint64_t i) const {
    if (this->over()) return;
    const auto& p = BatchedStages<L>::params(this->run);
    const auto lane = static_cast<int>(i);
    BatchedStages<L>::choose(this->run, number, lane, q + batch_ops::at(lane, p.utility.row),
                             batch_ops::at(this->run.s->lanes, p.utility.row));
  }
};

template <class L>
struct Keep : Launch<L> {
  int number;
  template <class Team>
  CUMARL_HD void operator()(const Team& team, uint64_t i) const {
    if (this->over()) return;
    BatchedStages<L>::keep(team, this->run, number, static_cast<int>(i));
  }
};

template <class L>
struct EndRollout : Launch<L> {
  CUMARL_HD void operator()(uint64_t) const {
    if (!this->over()) BatchedStages<L>::end_rollout(this->run);
  }
};

template <class L>
struct Gather : Launch<L> {
  BatchRows<typename L::Real> w;
  template <class Team>
  CUMARL_HD void operator()(const Team& team, uint64_t i) const {
    if (this->over()) return;
    BatchedStages<L>::gather(team, this->run, w, static_cast<int>(i), static_cast<int>(i));
  }
};

template <class L>
struct Forward : Launch<L> {
  BatchRows<typename L::Real> w;
  int rows;  ///< of a team
  template <class Team>
  CUMARL_HD void operator()(const Team& team, uint64_t i) const {
    if (this->over()) return;
    const auto agents = static_cast<uint64_t>(this->run.p->agents);
    BatchedStages<L>::forward(team, this->run, w, static_cast<int>(i % agents),
                              static_cast<int>(i / agents) * rows, rows);
  }
};

template <class L>
struct Select : Launch<L> {
  BatchRows<typename L::Real> w;
  CUMARL_HD void operator()(uint64_t i) const {
    if (!this->over()) BatchedStages<L>::select(this->run, w, static_cast<int>(i));
  }
};

/// Begins the gradient of a tile.
template <class L>
struct Mixing : Launch<L> {
  BatchRows<typename L::Real> w;
  template <class Team>
  CUMARL_HD void operator()(const Team& team, uint64_t i) const {
    if (!this->over()) BatchedStages<L>::mix(team, this->run, w, static_cast<int>(i));
  }
};

/// Ends it. Agents with a network each have a team each.
template <class L>
struct Backward : Launch<L> {
  BatchRows<typename L::Real> w;
  template <class Team>
  CUMARL_HD void operator()(const Team& team, uint64_t i) const {
    if (this->over()) return;
    const auto& p = BatchedStages<L>::params(this->run);
    const auto networks = static_cast<uint64_t>(p.utility.networks);
    const auto tile = static_cast<int>(i / networks);
    const auto network = static_cast<int>(i % networks);
    const int last = networks == 1 ? p.agents : network + 1;
    for (int agent = network; agent < last; ++agent) {
      BatchedStages<L>::backward(team, this->run, w, agent, tile);
    }
  }
};

/// 16 parameters of a part's gradient.
template <class L>
struct Collect : Launch<L> {
  BatchRows<typename L::Real> w;
  template <class Team>
  CUMARL_HD void operator()(const Team& team, uint64_t i) const {
    using Stages = BatchedStages<L>;
    if (this->over()) return;
    const auto parts = static_cast<uint64_t>(this->run.s->parts);
    const auto part = static_cast<int>(i % parts);
    const uint64_t first = i / parts * kColumns;
    const int begin = Stages::first_tile(part);
    for (int tile = begin; tile < Stages::last_tile(this->run, part); ++tile) {
      Stages::collect(team, this->run, w, tile, part, tile == begin, first, kColumns);
    }
  }
};

template <class L>
struct Reduce : Launch<L> {
  template <class Team>
  CUMARL_HD void operator()(const Team& team, uint64_t i) const {
    if (!this->over()) BatchedStages<L>::reduce(team, this->run, i * kColumns, kColumns);
  }
};

template <class L>
struct Measure : Launch<L> {
  template <class Team>
  CUMARL_HD void operator()(const Team& team, uint64_t i) const {
    if (!this->over()) BatchedStages<L>::measure(team, this->run, static_cast<int>(i));
  }
};

template <class L>
struct Move : Launch<L> {
  template <class Team>
  CUMARL_HD void operator()(const Team& team, uint64_t i) const {
    if (!this->over()) BatchedStages<L>::move(team, this->run, static_cast<int>(i));
  }
};

template <class L>
struct EndUpdate : Launch<L> {
  template <class Team>
  CUMARL_HD void operator()(const Team& team, uint64_t) const {
    if (this->over()) return;
    team.once([&] { BatchedStages<L>::end_update(this->run); });
    BatchedStages<L>::prepare(team, this->run);
  }
};

}  // namespace launches

/// Numbers that launches are sized by; all on the host.
struct LaunchSizes {
  uint64_t lanes, batch, tiles, parts, blocks, agents, networks,
      columns;    ///< columns: of 16 parameters
  uint64_t rows;  ///< of a team in a forward pass
};

template <class L>
LaunchSizes launch_sizes(const JointParams& p, const BatchedShape& s,
                         const CudaBatchedPolicy& policy = {}) {
  const auto whole = [](int n) { return static_cast<uint64_t>(n); };
  const auto& own = *reinterpret_cast<const typename L::Params*>(p.learner);
  return {
      whole(s.lanes),  whole(s.batch),  whole(s.batch / BatchedShape::kTile), whole(s.parts),
      whole(s.blocks), whole(p.agents), whole(own.utility.networks),          own.size / kColumns,
      policy.rows};
}

/// Actions of all lanes in step `number` of the rollout.
template <class L, class Launcher>
void launch_actions(Launcher& on, const LaunchSizes& n, const BatchedRun& run, int number,
                    typename L::Real* hidden, typename L::Real* q) {
  on.teams((n.lanes - 1) / n.rows * n.agents + n.agents,
           launches::Utilities<L>{{run}, number, static_cast<int>(n.rows), hidden, q});
  on.each(n.lanes, launches::Choose<L>{{run}, number, q});
}

/// Keeps what all lanes have done.
template <class L, class Launcher>
void launch_keeping(Launcher& on, const LaunchSizes& n, const BatchedRun& run, int number) {
  on.teams(n.lanes, launches::Keep<L>{{run}, number});
}

template <class L, class Launcher>
void launch_end_rollout(Launcher& on, const BatchedRun& run) {
  on.each(1, launches::EndRollout<L>{{run}});
}

/// The moved weights from the whole gradient; what is counted is not counted yet.
template <class L, class Launcher>
void launch_step(Launcher& on, const LaunchSizes& n, const BatchedRun& run) {
  on.teams(n.blocks, launches::Measure<L>{{run}});
  on.teams(n.blocks, launches::Move<L>{{run}});
}

/// From the gradients of all tiles to the next update.
template <class L, class Launcher>
void launch_descent(Launcher& on, const LaunchSizes& n, const BatchedRun& run,
                    const BatchRows<typename L::Real>& w) {
  on.teams(n.parts * n.columns, launches::Collect<L>{{run}, w});
  on.teams(n.columns, launches::Reduce<L>{{run}});
  launch_step<L>(on, n, run);
  on.teams(1, launches::EndUpdate<L>{{run}});
}

/// One gradient step.
template <class L, class Launcher>
void launch_update(Launcher& on, const LaunchSizes& n, const BatchedRun& run,
                   const BatchRows<typename L::Real>& w) {
  on.teams(n.batch, launches::Gather<L>{{run}, w});
  on.teams(n.batch / n.rows * n.agents, launches::Forward<L>{{run}, w, static_cast<int>(n.rows)});
  on.each(n.batch, launches::Select<L>{{run}, w});
  on.teams(n.tiles, launches::Mixing<L>{{run}, w});
  on.teams(n.tiles * n.networks, launches::Backward<L>{{run}, w});
  launch_descent<L>(on, n, run, w);
}

}  // namespace cumarl::inline CUMARL_VARIANT
