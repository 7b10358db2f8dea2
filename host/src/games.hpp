/// \file
/// Normal forms by name: what `cumarl solve` is asked for.
#pragma once

#include <string>
#include <vector>

#include "host/src/nfg.hpp"

namespace cumarl {

/// The game called `what`: a path that ends in .nfg, a game of matrix_game (`cumarl list games`), or
/// an environment of the matrix family, with its settings changed by `sets` ("env.key=value").
/// Throws ConfigError (unknown name, settings that do not fit, no single payoff table) or IoError.
NormalFormGame find_game(const std::string& what, const std::vector<std::string>& sets);

}  // namespace cumarl
