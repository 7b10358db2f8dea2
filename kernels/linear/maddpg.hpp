/// \file
/// Multi-agent deep deterministic policy gradient, on linear approximators.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/linear/joint_learner.hpp"
#include "kernels/linear/optimizer.hpp"
#include "kernels/tabular/action_choice.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// Every agent i has an actor u_i = mu_i(x_i) on its own features and a critic Q_i that sees all:
///   Q_i = w_i . phi(z), phi the products z_j z_k (j <= k) of z = (global features, 1, u_1 .. u_n)
/// so that the critic has linear, quadratic and mixed terms in state and actions. The global
/// features are scaled to [-1, 1] by their ranges. Joint steps go
/// into a replay memory. Every `update_every` of them, over a minibatch drawn with replacement,
///   critic   w_i against the gradient of the mean of (r_i + gamma Q'_i(s', mu'(x')) - Q_i(s, u))^2 / 2
///   actor    theta_i along the mean of dQ_i/du_i (s, u with u_i = mu_i(x_i)) dmu_i/dtheta_i
///   targets  w' += tau (w - w'), theta' += tau (theta - theta')
/// each critic and actor a vector with an optimizer of its own, step sizes alpha / (1 + decay k) at
/// update k. Where an episode ended, nothing follows; at a time limit the bootstrap stays.
///
/// Real actions: u in [-1, 1] stands for [low, high]; mu is tanh(theta . x), or theta . x clipped
/// to [-1, 1], where the gradient passes inside and back inside, not further out. Played is u plus a
/// normal draw times sigma_t = max(noise.end, noise.start exp(-noise.decay_rate t)), clipped; in the
/// first `warmup` steps a uniform draw. Evaluated without noise.
/// Numbered actions: u_i is the one-hot vector of the action, drawn from softmax(theta x), which is
/// the evaluated policy as well. The actor's gradient goes through a Gumbel-softmax: with Gumbel
/// draws g, one-hot at the top of theta x + g forward, softmax((theta x + g) / temperature)
/// backward. The actions of mu' are drawn.
///
/// Rewards are divided by reward_scale, or by the greatest |reward| that the environment states.
/// Weights of critics start at 0, of actors uniformly in [-init_scale, init_scale].
///
/// Source: Lowe, Wu, Tamar, Harb, Abbeel, Mordatch, "Multi-agent actor-critic for mixed
/// cooperative-competitive environments", NeurIPS 2017, algorithm 1; Jang, Gu, Poole, "Categorical
/// reparameterization with Gumbel-softmax", ICLR 2017 (straight-through). Deviations: linear
/// approximators; one minibatch serves all agents; all critics move, then all actors; independent
/// instead of correlated noise; no inference of other agents' policies, no ensembles.
template <class Real>
struct Maddpg {
  static constexpr LearnerFacts kFacts{
      "maddpg", "Multi-agent deep deterministic policy gradient, on linear approximators",
      "Lowe et al., NeurIPS 2017"};
  static constexpr Acts kActs = Acts::either;
  static constexpr bool kGreedy = false;
  /// Most products of the critic's features.
  static constexpr int kMaxProducts = 1 << 15;
  /// Random words of an update: the first 3,072 blocks of a step.
  static constexpr int64_t kMaxWords = 4 * 3072;

  enum Actor : int32_t { kTanh, kLinear };

  struct Config : JointConfig {
    bool continuous = true;
    Choice actor{kLinear};
    double actor_alpha = 0.01;
    double critic_alpha = 0.05;
    double alpha_decay = 3e-4;
    double gamma = 0.95;
    double tau = 0.02;
    double noise_start = 0.3;
    double noise_end = 0.2;
    double noise_decay = 1e-3;
    double temperature = 1.0;
    double reward_scale = 0.0;
    double init_scale = 0.1;
    int capacity = 4096;
    int batch = 64;
    int warmup = 500;
    int update_every = 2;
    typename Optimizer<Real>::Config optimizer;
  };
  static void fields(FieldVisitor& v, Config& c) {
    v("continuous", c.continuous, "actions are numbers; false: the numbered actions");
    v.choice("actor", c.actor, {"tanh", "linear"},
             "how an actor's output becomes an action in [-1, 1]: tanh, or clipped");
    v("actor_alpha", c.actor_alpha, Bounds{0, 1e3}, "", "actors' step size");
    v("critic_alpha", c.critic_alpha, Bounds{0, 1e3}, "", "critics' step size");
    v("alpha_decay", c.alpha_decay, Bounds{0, 1e3}, "1/update",
      "step sizes are alpha / (1 + alpha_decay k) at update k");
    v("gamma", c.gamma, Bounds{0, 1}, "", "discount factor");
    v("tau", c.tau, Bounds{0, 1}, "", "share of the way that targets go at an update");
    v("noise.start", c.noise_start, Bounds{0, 10}, "half ranges",
      "standard deviation of the exploring noise at t = 0");
    v("noise.end", c.noise_end, Bounds{0, 10}, "half ranges", "its lower bound");
    v("noise.decay_rate", c.noise_decay, Bounds{0, 1e3}, "1/step", "its exponential decay");
    v("temperature", c.temperature, Bounds{1e-3, 1e3}, "",
      "numbered actions: of the Gumbel-softmax that the gradient goes through");
    v("reward_scale", c.reward_scale, Bounds{0, 1e12}, "reward",
      "rewards are divided by it; 0: the greatest size of a reward");
    v("init_scale", c.init_scale, Bounds{0, 1e3}, "", "actors' first weights are up to this size");
    v("replay.capacity", c.capacity, Bounds{1, 1 << 24}, "steps", "joint steps that are kept");
    v("replay.batch", c.batch, Bounds{1, 4096}, "steps", "joint steps in a minibatch");
    v("replay.warmup", c.warmup, Bounds{1, 1e9}, "steps", "random play before the first update");
    v("replay.update_every", c.update_every, Bounds{1, 1e6}, "steps", "from update to update");
    c.optimizer.fields(v);
    c.JointConfig::fields(v);
  }

  struct Params {
    Optimizer<Real> optimizer;
    double actor_alpha, critic_alpha, alpha_decay;
    double noise_start, noise_end, noise_decay;
    double temperature;
    Real gamma, tau, per_reward, init_scale;
    Actor actor;
    bool real;
    int32_t agents, pitch;
    int32_t shared;              ///< entries of the global vector
    int32_t joint;               ///< entries of z: the global vector and everybody's u
    int32_t z_pitch;             ///< columns of z, at least one behind its entries
    int32_t products;            ///< columns of phi
    int32_t rows;                ///< of an actor: 1, or its actions; of the one with most of them
    int32_t record;              ///< columns of a replayed step
    int32_t next_at, reward_at;  ///< in it: what is seen next, rewards and whether it goes on
    int32_t capacity, batch, update_every;
    int64_t warmup;
    int32_t target_block, gumbel_block;  ///< where an update's draws of actions start
    int32_t actions[kMaxJointAgents];
    int32_t size[kMaxJointAgents];   ///< entries of x
    int32_t x_at[kMaxJointAgents];   ///< of x in what is seen
    int32_t u_at[kMaxJointAgents];   ///< of u in z
    double middle[kMaxJointAgents];  ///< of the range of actions
    double half[kMaxJointAgents];    ///< half of its width
    const uint16_t* first;           ///< [products] the entries of z that make a product
    const uint16_t* second;
  };

  /// Throws ParameterError where phi, or an update's random words, are too many.
  static Params make(const Config& c, const JointSpec& spec, Arena& arena) {
    Params p{};
    p.optimizer = Optimizer<Real>::make(c.optimizer);
    p.actor_alpha = c.actor_alpha;
    p.critic_alpha = c.critic_alpha;
    p.alpha_decay = c.alpha_decay;
    p.noise_start = c.noise_start;
    p.noise_end = c.noise_end;
    p.noise_decay = c.noise_decay;
    p.temperature = c.temperature;
    p.gamma = static_cast<Real>(c.gamma);
    p.tau = static_cast<Real>(c.tau);
    p.per_reward = static_cast<Real>(1.0 / scale_of(c, spec));
    p.init_scale = static_cast<Real>(c.init_scale);
    p.actor = static_cast<Actor>(c.actor.value);
    p.real = spec.real;
    p.agents = spec.agents;
    p.pitch = spec.pitch;
    p.shared = spec.global_size;
    p.rows = 1;
    int seen = 0, u_at = p.shared, draws = 0;
    for (int i = 0; i < spec.agents; ++i) {
      p.actions[i] = spec.real ? 1 : spec.actions[i];
      p.rows = p.actions[i] > p.rows ? p.actions[i] : p.rows;
      p.size[i] = spec.size[i];
      p.x_at[i] = seen;
      p.u_at[i] = u_at;
      seen += spec.size[i];
      u_at += p.actions[i];
      draws += spec.real ? 0 : p.actions[i];
      p.half[i] = (spec.high[i] - spec.low[i]) / 2;
      p.middle[i] = spec.low[i] + p.half[i];
    }
    p.joint = u_at;
    p.z_pitch = padded(p.joint + 1);
    const int64_t products = static_cast<int64_t>(p.joint) * (p.joint + 1) / 2;
    if (products > kMaxProducts) {
      throw ParameterError("name", "the critic of " + std::to_string(p.shared) +
                                       " global features and " +
                                       std::to_string(p.joint - p.shared) + " actions has " +
                                       std::to_string(products) + " products; allowed are up to " +
                                       std::to_string(kMaxProducts));
    }
    p.products = padded(static_cast<int>(products));
    std::vector<uint16_t> first, second;
    for (int j = 0; j < p.joint; ++j) {
      for (int k = j; k < p.joint; ++k) {
        first.push_back(static_cast<uint16_t>(j));
        second.push_back(static_cast<uint16_t>(k));
      }
    }
    // behind them the product of an entry that is always 0
    first.resize(static_cast<size_t>(p.products), static_cast<uint16_t>(p.joint));
    second.resize(static_cast<size_t>(p.products), static_cast<uint16_t>(p.joint));
    p.first = arena.store(first);
    p.second = arena.store(second);
    p.next_at = seen + p.joint;
    p.reward_at = p.next_at + seen + p.shared;
    p.record = padded(p.reward_at + p.agents + 1);
    p.capacity = c.capacity;
    p.batch = c.batch;
    p.update_every = c.update_every;
    p.warmup = c.warmup;
    const auto blocks = [](int64_t words) { return static_cast<int32_t>((words + 3) / 4); };
    p.target_block = blocks(c.batch);
    p.gumbel_block = p.target_block + blocks(static_cast<int64_t>(c.batch) * p.agents);
    if (p.gumbel_block * int64_t{4} + static_cast<int64_t>(c.batch) * draws > kMaxWords) {
      throw ParameterError("replay.batch", "with these actions an update needs more than " +
                                               std::to_string(kMaxWords) + " random words");
    }
    return p;
  }

  CUMARL_HD static size_t bytes(const Params& p) {
    return sizeof(Head) +
           (replay_at(p) + static_cast<size_t>(p.capacity) * columns(p.record)) * sizeof(Real);
  }

  template <class Team>
  CUMARL_HD static void init(const Team& team, const Params& p, std::byte* memory, RunKey key) {
    if (team.rank() == 0) {
      *head(memory) = {0, 0, p.optimizer.first(), {0, 0, 0, 0}};
      for (int i = 0; i < p.agents; ++i) {
        for (int a = 0; a < p.actions[i]; ++a) {
          Real* const row = actor(p, memory, i, a);
          Rng draws(key, static_cast<uint64_t>(i * p.rows + a), Stream::init);
          for (int k = 0; k < p.size[i]; ++k) {
            row[k] = p.init_scale * static_cast<Real>(2.0 * unit_double(draws.word()) - 1.0);
          }
        }
      }
    }
    team.sync();
    copy_vector(team, targets(p, memory), weights(memory), static_cast<int>(all(p)));
    team.sync();
  }

  template <class Team>
  CUMARL_HD static void act(const Team& team, const Params& p, std::byte* memory,
                            const Seen<Real>& seen, const uint32_t* words, uint64_t t,
                            JointAction& out) {
    const bool warming = static_cast<int64_t>(t) < p.warmup;
    const double decayed = p.noise_start * portable_exp(-p.noise_decay * static_cast<double>(t));
    const double sigma = decayed > p.noise_end ? decayed : p.noise_end;
    for (int i = 0; i < p.agents; ++i) {
      if (p.real) {
        double u = 2.0 * unit_double(words[i]) - 1.0;
        if (!warming) {
          const Real pre = dot(team, actor(p, memory, i, 0), seen.agent(i), p.pitch);
          u = clip(static_cast<double>(squash(p, pre)) + sigma * normal_draw(words[i]));
        }
        out.value[i] = p.middle[i] + p.half[i] * u;
      } else if (warming) {
        out.action[i] = static_cast<int>(below(words[i], static_cast<uint32_t>(p.actions[i])));
      } else {
        double logits[kMaxJointActions] = {};
        logits_of(team, p, actor(p, memory, i, 0), seen.agent(i), i, logits);
        out.action[i] = softmax_action(logits, p.actions[i], 1.0, words[i]);
      }
    }
  }

  template <class Team>
  CUMARL_HD static int learn(const Team& team, const Params& p, std::byte* memory,
                             const Seen<Real>& from, const Seen<Real>& to, const JointStep& step) {
    const Head was = *head(memory);
    remember(team, p, memory, from, to, step, was.stored % static_cast<uint64_t>(p.capacity));
    const uint64_t stored = was.stored + 1;
    const bool updates = stored >= static_cast<uint64_t>(p.warmup) &&
                         stored % static_cast<uint64_t>(p.update_every) == 0;
    team.sync();
    if (team.rank() == 0) {
      head(memory)->stored = stored;
      if (updates) {
        head(memory)->updates = was.updates + 1;
        head(memory)->powers = p.optimizer.after(was.powers);
      }
    }
    team.sync();
    if (!updates) return -1;
    const double slower = 1.0 / (1.0 + p.alpha_decay * static_cast<double>(was.updates));
    const auto count = static_cast<uint32_t>(
        stored < static_cast<uint64_t>(p.capacity) ? stored : static_cast<uint64_t>(p.capacity));
    critic_gradients(team, p, memory, count, step);
    int diverged = -1;
    for (int i = 0; i < p.agents; ++i) {
      const size_t at = critic_at(p, i);
      const Real square = move(team, p, memory, p.critic_alpha * slower, at, p.products, was);
      if (diverging(square) && diverged < 0) diverged = i;
    }
    actor_gradients(team, p, memory, count, step);
    for (int i = 0; i < p.agents; ++i) {
      const size_t at = actor_at(p, i, 0);
      const Real square =
          move(team, p, memory, p.actor_alpha * slower, at, p.actions[i] * p.pitch, was);
      if (diverging(square) && diverged < 0) diverged = i;
    }
    Real* const slow = targets(p, memory);
    const Real* const fast = weights(memory);
    for_columns(team, static_cast<int>(all(p)),
                [&](int k) { slow[k] += p.tau * (fast[k] - slow[k]); });
    team.sync();
    return diverged;
  }

  template <class Team>
  CUMARL_HD static void policy(const Team& team, const Params& p, std::byte* memory,
                               const Seen<Real>& seen, int agent, double* out) {
    if (p.real) {
      const Real pre = dot(team, actor(p, memory, agent, 0), seen.agent(agent), p.pitch);
      out[0] = p.middle[agent] + p.half[agent] * static_cast<double>(squash(p, pre));
      return;
    }
    double logits[kMaxJointActions] = {};
    logits_of(team, p, actor(p, memory, agent, 0), seen.agent(agent), agent, logits);
    softmax(logits, p.actions[agent], 1.0, out);
  }

  /// @name The parts of an update, and where things are: for tests.
  /// @{

  /// The first 64 bytes of the memory. Then, in columns of Real: critics [agents][products] and
  /// actors [agents][rows][pitch], the same of the targets, the gradients, the optimizer's two
  /// moments if it has them, z and phi of now and of next, what a step saw, [agents][pitch]; and
  /// [capacity][record] joint steps.
  struct Head {
    uint64_t stored;   ///< joint steps
    uint64_t updates;  ///< done
    typename Optimizer<Real>::Powers powers;
    uint64_t unused[4];
  };
  static_assert(sizeof(Head) == 64);
  CUMARL_HD static Head* head(std::byte* memory) { return reinterpret_cast<Head*>(memory); }
  CUMARL_HD static Real* weights(std::byte* memory) {
    return reinterpret_cast<Real*>(memory + sizeof(Head));
  }
  CUMARL_HD static size_t columns(int n) { return static_cast<size_t>(n); }
  CUMARL_HD static size_t critic_at(const Params& p, int agent) {
    return columns(agent) * columns(p.products);
  }
  CUMARL_HD static size_t actor_at(const Params& p, int agent, int row) {
    return critic_at(p, p.agents) + columns(agent * p.rows + row) * columns(p.pitch);
  }
  /// Weights of all critics and actors.
  CUMARL_HD static size_t all(const Params& p) { return actor_at(p, p.agents, 0); }
  CUMARL_HD static Real* critic(const Params& p, std::byte* memory, int agent) {
    return weights(memory) + critic_at(p, agent);
  }
  CUMARL_HD static Real* actor(const Params& p, std::byte* memory, int agent, int row) {
    return weights(memory) + actor_at(p, agent, row);
  }
  CUMARL_HD static Real* targets(const Params& p, std::byte* memory) {
    return weights(memory) + all(p);
  }
  CUMARL_HD static Real* gradients(const Params& p, std::byte* memory) {
    return weights(memory) + 2 * all(p);
  }
  CUMARL_HD static Real* replayed(const Params& p, std::byte* memory, size_t place) {
    return weights(memory) + replay_at(p) + place * columns(p.record);
  }

  /// Gradients of the critics' losses over the minibatch of a step, of `count` steps in the replay
  /// memory; to be read by their columns' lanes.
  template <class Team>
  CUMARL_HD static void critic_gradients(const Team& team, const Params& p, std::byte* memory,
                                         uint32_t count, const JointStep& step) {
    Real* const z = z_of(p, memory, 0);
    Real* const z_next = z_of(p, memory, 1);
    Real* const phi = phi_of(p, memory, 0);
    Real* const phi_next = phi_of(p, memory, 1);
    Real* const x = x_of(p, memory);
    fill(team, gradients(p, memory), Real(0), static_cast<int>(critic_at(p, p.agents)));
    Rng places(step.key, step.t, Stream::learn);
    Rng chance(step.key, step.t, Stream::learn, static_cast<uint32_t>(p.target_block));
    for (int b = 0; b < p.batch; ++b) {
      const Real* const past = replayed(p, memory, places.below(count));
      const bool goes_on = past[p.reward_at + p.agents] > 0;
      team.sync();
      for_columns(team, p.z_pitch, [&](int k) {
        z[k] = k < p.joint ? past[p.next_at - p.joint + k] : Real(0);
        z_next[k] = k < p.shared ? past[p.reward_at - p.shared + k] : Real(0);
      });
      unpack(team, p, past + p.next_at, x);
      team.sync();
      for (int i = 0; i < p.agents; ++i) {
        const Real* const theta = targets(p, memory) + actor_at(p, i, 0);
        if (p.real) {
          const Real u = squash(p, dot(team, theta, x + i * p.pitch, p.pitch));
          if (team.rank() == 0) z_next[p.u_at[i]] = u;
        } else {
          double logits[kMaxJointActions] = {};
          logits_of(team, p, theta, x + i * p.pitch, i, logits);
          const int a = softmax_action(logits, p.actions[i], 1.0, chance.word());
          if (team.rank() == 0) z_next[p.u_at[i] + a] = 1;
        }
      }
      team.sync();
      multiply_out(team, p, z, phi);
      multiply_out(team, p, z_next, phi_next);
      for (int i = 0; i < p.agents; ++i) {
        Real target = past[p.reward_at + i];
        if (goes_on) {
          target += p.gamma * dot(team, targets(p, memory) + critic_at(p, i), phi_next, p.products);
        }
        const Real error = target - dot(team, critic(p, memory, i), phi, p.products);
        add_scaled(team, gradients(p, memory) + critic_at(p, i),
                   -error / static_cast<Real>(p.batch), phi, p.products);
      }
    }
  }

  /// Gradients of minus the actors' objectives over the same minibatch.
  template <class Team>
  CUMARL_HD static void actor_gradients(const Team& team, const Params& p, std::byte* memory,
                                        uint32_t count, const JointStep& step) {
    Real* const z = z_of(p, memory, 0);
    Real* const x = x_of(p, memory);
    const Real share = Real(1) / static_cast<Real>(p.batch);
    fill(team, gradients(p, memory) + critic_at(p, p.agents), Real(0),
         static_cast<int>(all(p) - critic_at(p, p.agents)));
    Rng places(step.key, step.t, Stream::learn);
    Rng chance(step.key, step.t, Stream::learn, static_cast<uint32_t>(p.gumbel_block));
    for (int b = 0; b < p.batch; ++b) {
      const Real* const past = replayed(p, memory, places.below(count));
      team.sync();
      for_columns(team, p.z_pitch,
                  [&](int k) { z[k] = k < p.joint ? past[p.next_at - p.joint + k] : Real(0); });
      unpack(team, p, past, x);
      team.sync();
      for (int i = 0; i < p.agents; ++i) {
        const Real* const own = x + i * p.pitch;
        if (!p.real) {
          gumbel_gradient(team, p, memory, i, z, own, chance, share);
          continue;
        }
        const Real pre = dot(team, actor(p, memory, i, 0), own, p.pitch);
        const Real u = squash(p, pre);
        const int at = p.u_at[i];
        const Real slope = critic_slope(team, p, critic(p, memory, i), at,
                                        [&](int k) { return k == at ? u : z[k]; });
        Real through = 1;
        if (p.actor == kTanh) {
          through = 1 - u * u;
        } else if ((pre > 1 && slope > 0) || (pre < -1 && slope < 0)) {
          through = 0;
        }
        add_scaled(team, gradients(p, memory) + actor_at(p, i, 0), -share * slope * through, own,
                   p.pitch);
      }
    }
  }
  /// @}

 private:
  static double scale_of(const Config& c, const JointSpec& spec) {
    if (c.reward_scale > 0) return c.reward_scale;
    const double low = spec.reward_low < 0 ? -spec.reward_low : spec.reward_low;
    const double high = spec.reward_high < 0 ? -spec.reward_high : spec.reward_high;
    const double most = low > high ? low : high;
    return most > 0 && most < 1e30 ? most : 1.0;
  }

  CUMARL_HD static Real* z_of(const Params& p, std::byte* memory, int next) {
    const int vectors = 3 + p.optimizer.moments();
    return weights(memory) + columns(vectors) * all(p) + columns(next * p.z_pitch);
  }
  CUMARL_HD static Real* phi_of(const Params& p, std::byte* memory, int next) {
    return z_of(p, memory, 2) + columns(next * p.products);
  }
  CUMARL_HD static Real* x_of(const Params& p, std::byte* memory) { return phi_of(p, memory, 2); }
  CUMARL_HD static size_t replay_at(const Params& p) {
    return columns(3 + p.optimizer.moments()) * all(p) +
           columns(2 * (p.z_pitch + p.products) + p.agents * p.pitch);
  }

  template <class T>
  CUMARL_HD static T clip(T u) {
    return u > T(1) ? T(1) : (u < T(-1) ? T(-1) : u);
  }
  CUMARL_HD static Real squash(const Params& p, Real pre) {
    return p.actor == kTanh ? static_cast<Real>(portable_tanh(static_cast<double>(pre)))
                            : clip(pre);
  }

  /// Writes a joint step into a place of the replay memory.
  template <class Team>
  CUMARL_HD static void remember(const Team& team, const Params& p, std::byte* memory,
                                 const Seen<Real>& from, const Seen<Real>& to,
                                 const JointStep& step, uint64_t place) {
    Real* const now = replayed(p, memory, place);
    pack(team, p, from, p.next_at - p.joint, now);
    pack(team, p, to, p.reward_at - p.next_at - p.shared, now + p.next_at);
    if (team.rank() != 0) return;
    Real* const z = now + p.next_at - p.joint;
    for (int i = 0; i < p.agents; ++i) {
      if (p.real) {
        const double u = p.half[i] > 0 ? (step.actions->value[i] - p.middle[i]) / p.half[i] : 0.0;
        z[p.u_at[i]] = static_cast<Real>(u);
      } else {
        for (int a = 0; a < p.actions[i]; ++a) {
          z[p.u_at[i] + a] = Real(a == step.actions->action[i] ? 1 : 0);
        }
      }
      now[p.reward_at + i] = p.per_reward * static_cast<Real>(step.rewards[i]);
    }
    now[p.reward_at + p.agents] = Real(step.episode == Episode::ended ? 0 : 1);
  }

  /// What is seen, without padding: everybody's x, and at `global_at` the global vector, which
  /// comes in [0, 1] with a one behind.
  template <class Team>
  CUMARL_HD static void pack(const Team& team, const Params& p, const Seen<Real>& seen,
                             int global_at, Real* out) {
    for (int i = 0; i < p.agents; ++i) {
      for_columns(team, p.pitch, [&](int k) {
        if (k < p.size[i]) out[p.x_at[i] + k] = seen.agent(i)[k];
      });
    }
    for_columns(team, padded(p.shared), [&](int k) {
      if (k < p.shared) out[global_at + k] = k == p.shared - 1 ? Real(1) : 2 * seen.global[k] - 1;
    });
  }
  template <class Team>
  CUMARL_HD static void unpack(const Team& team, const Params& p, const Real* packed, Real* x) {
    for (int i = 0; i < p.agents; ++i) {
      for_columns(team, p.pitch, [&](int k) {
        x[i * p.pitch + k] = k < p.size[i] ? packed[p.x_at[i] + k] : Real(0);
      });
    }
  }

  /// phi of z.
  template <class Team>
  CUMARL_HD static void multiply_out(const Team& team, const Params& p, const Real* z, Real* phi) {
    for_columns(team, p.products, [&](int k) { phi[k] = z[p.first[k]] * z[p.second[k]]; });
  }

  /// The number of the product z_j z_k.
  CUMARL_HD static int product(const Params& p, int j, int k) {
    const int low = j < k ? j : k;
    const int high = j < k ? k : j;
    return low * p.joint - low * (low - 1) / 2 + high - low;
  }

  /// dQ/dz_at of the critic w at z = entry(0), entry(1) ...
  template <class Team, class F>
  CUMARL_HD static Real critic_slope(const Team& team, const Params& p, const Real* w, int at,
                                     F entry) {
    return sum_columns<Real>(team, p.z_pitch, [&](int k) {
      if (k >= p.joint) return Real(0);
      const Real part = w[product(p, at, k)] * entry(k);
      return k == at ? part + part : part;
    });
  }

  template <class Team>
  CUMARL_HD static void logits_of(const Team& team, const Params& p, const Real* theta,
                                  const Real* x, int agent, double* out) {
    for (int a = 0; a < p.actions[agent]; ++a) {
      out[a] = static_cast<double>(dot(team, theta + columns(a) * columns(p.pitch), x, p.pitch));
    }
  }

  /// Adds a replayed step's part of an actor's gradient, where actions are numbered.
  template <class Team>
  CUMARL_HD static void gumbel_gradient(const Team& team, const Params& p, std::byte* memory,
                                        int agent, const Real* z, const Real* x, Rng& chance,
                                        Real share) {
    const int n = p.actions[agent];
    double drawn[kMaxJointActions] = {}, soft[kMaxJointActions], slope[kMaxJointActions];
    logits_of(team, p, actor(p, memory, agent, 0), x, agent, drawn);
    for (int a = 0; a < n; ++a) {
      const double u = (static_cast<double>(chance.word()) + 0.5) * (1.0 / 4294967296.0);
      drawn[a] -= portable_log(-portable_log(u));
    }
    softmax(drawn, n, p.temperature, soft);
    const int at = p.u_at[agent];
    const int hard = at + arg_max(drawn, n);
    double mean = 0;
    for (int a = 0; a < n; ++a) {
      slope[a] =
          static_cast<double>(critic_slope(team, p, critic(p, memory, agent), at + a, [&](int k) {
            return k >= at && k < at + n ? Real(k == hard ? 1 : 0) : z[k];
          }));
      mean += soft[a] * slope[a];
    }
    for (int a = 0; a < n; ++a) {
      const double through = soft[a] * (slope[a] - mean) / p.temperature;
      add_scaled(team, gradients(p, memory) + actor_at(p, agent, a),
                 -share * static_cast<Real>(through), x, p.pitch);
    }
  }

  /// One step of the optimizer on n weights; returns the gradient's squared norm.
  template <class Team>
  CUMARL_HD static Real move(const Team& team, const Params& p, std::byte* memory, double alpha,
                             size_t at, int n, const Head& was) {
    Real* const w = weights(memory);
    return p.optimizer.step(team, static_cast<Real>(alpha), w + at, gradients(p, memory) + at,
                            w + 3 * all(p) + at, all(p), was.powers, n);
  }
};

}  // namespace cumarl::inline CUMARL_VARIANT
