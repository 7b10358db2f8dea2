/// \file
/// The subcommands that read stored results: what they print. Errors are exceptions, as for all
/// subcommands; where a function returns, the command is done.
#pragma once

#include <string>
#include <vector>

/// `cumarl export DIR --format csv|npz [--out FILE]`.
void export_command(const std::string& directory, const std::string& format,
                    const std::string& out);

/// `cumarl merge DIR... --out DIR`; `json`: the object of `run --json` on standard output.
void merge_command(const std::vector<std::string>& directories, const std::string& out, bool json);
