/// \file
/// What a mixer is: it makes of the utilities of the actions that were taken, and of the global
/// state, the value of all agents together. A learner with it is a header and a line of
/// learners.def: template <class Real> using Vdn = ValueDecomposition<Real, SumMixer>.
///
/// A mixer is a template <class Real> struct of static functions over batches of rows (MixRows),
/// which all lanes of a team call, as those of batch_ops.hpp:
///   kFacts                                name, title, source of the learner
///   Config                                with fields(v)
///   Shape, make(config, spec)             checked and ready for the device; throws ParameterError
///   parameters(shape)                     entries of its parameters, padded
///   for_weights(shape, f)                 f(Weights) for every matrix of them; host and device
///   prepared(shape), prepare(team, shape, w, out)
///                                         entries of, and what backward needs of the weights, made
///                                         once an update
///   working(shape, rows)                  entries of working memory, kept from forward to backward
///   forward(team, shape, w, in, work, total)
///                                         total [rows]
///   backward(team, shape, w, prepared, in, slope, work, dq, g)
///                                         from slope [rows] = d loss / d total: dq [rows][kColumns],
///                                         whose padding stays as it is, and adds to the gradient g
///   constrain(team, shape, w, in, total, all, weight, work)
///                                         optional, between forward and backward: a further loss over
///                                         all utilities; adds its gradient to all.dq, keeps that of
///                                         its own parameters for backward, returns the loss
/// Or it mixes nothing: kIndependent, and of the functions Shape, make, parameters, for_weights,
/// prepared, prepare and working, all of them empty (iql.hpp).
#pragma once

#include <cstdint>

#include "kernels/core/learner.hpp"
#include "kernels/mixing/batch_ops.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// Rows of a batch, one a joint step.
template <class Real>
struct MixRows {
  int rows;
  const Real* state;      ///< [rows][state_pitch]
  const Real* q;          ///< [rows][kColumns] utilities of the actions, an agent a column
  const int32_t* action;  ///< [rows][kColumns]
};

/// The utilities of all actions, and where their gradient goes.
template <class Real>
struct AllUtilities {
  const Real* q;          ///< agent i, row r, action a: q[(i * pitch + r) * row + a]
  Real* dq;               ///< the same shape, but i * dq_pitch
  const int32_t* greedy;  ///< [rows][kColumns]
  int pitch, dq_pitch, row;

  CUMARL_HD Real value(int agent, int r, int action) const {
    return q[batch_ops::at(agent * pitch + r, row) + static_cast<size_t>(action)];
  }
  CUMARL_HD Real& slope(int agent, int r, int action) const {
    return dq[batch_ops::at(agent * dq_pitch + r, row) + static_cast<size_t>(action)];
  }
};

/// What a mixer is told when it is made.
struct MixerSpec {
  int agents;
  int most;            ///< actions of the agent with most of them
  const int* actions;  ///< [agents]
  int state_size, state_pitch;
};

}  // namespace cumarl::inline CUMARL_VARIANT
