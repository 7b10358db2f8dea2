#include "host/cli/report_command.hpp"

#include <filesystem>

#include "host/src/export.hpp"
#include "host/src/plot.hpp"
#include "host/src/report.hpp"
#include "host/src/store.hpp"

namespace cumarl {
namespace fs = std::filesystem;

std::string report_command(const std::string& directory, const std::string& out) {
  std::error_code error;
  if (!fs::is_directory(directory, error)) {
    throw ConfigError({.source = "report " + directory, .why = "is no folder of results"});
  }
  const std::string path = out.empty() ? (fs::path(directory) / "report.html").string() : out;
  if (path.back() == '/' || fs::is_directory(path, error)) {
    throw ConfigError({.source = "--out " + path, .why = "must be a file, not a folder"});
  }
  Result result;
  try {
    result = load_result(directory);
  } catch (const IoError& failure) {
    throw ConfigError({.source = "report " + directory, .why = failure.what()});
  }
  ReportExtras extras = find_extras(result, directory);
  extras.version = ResultStore::open(directory, ResultStore::Access::read).header().version;
  const std::string page = html_report(result, extras);
  try {
    write_picture(page, path);
  } catch (const IoError& failure) {
    fs::remove(path + ".partial", error);
    throw ConfigError(
        {.source = "--out " + path, .why = std::string("cannot be written: ") + failure.what()});
  }
  return path;
}

}  // namespace cumarl
