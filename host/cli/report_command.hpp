/// \file
/// `cumarl report DIR [--out FILE]`.
#pragma once

#include <string>

namespace cumarl {

/// Writes the page of the experiment in `directory` to `out` ("": DIR/report.html) and returns the
/// file's name. The file appears whole or not at all. Throws ConfigError where there are no results
/// in `directory` or the file cannot be written.
std::string report_command(const std::string& directory, const std::string& out);

}  // namespace cumarl
