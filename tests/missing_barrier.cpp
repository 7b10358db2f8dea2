/// That ThreadSanitizer finds a barrier missing from cooperative code. Run without arguments, the
/// program runs itself twice: with the barrier, where it must exit with 0, and without, where it
/// must exit with ThreadSanitizer's code, 66. It exits with 77 ("skipped") when it was not built
/// with ThreadSanitizer.
#include <sys/personality.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "kernels/tabular/table.hpp"
#include "tests/emulated_team.hpp"

#if defined(__SANITIZE_THREAD__)
#define CUMARL_THREAD_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define CUMARL_THREAD_SANITIZER 1
#endif
#endif

#if defined(CUMARL_THREAD_SANITIZER)
namespace {

using namespace cumarl;

constexpr int kRace = 66;

/// A team whose `once` may lack its second barrier: the one that shows the others what was written.
template <bool Complete>
struct Team : EmulatedTeam<4> {
  template <class F>
  void once(F&& f) const {
    sync();
    if (rank() == 0) f();
    if constexpr (Complete) sync();
  }
};

/// What a learner does each step: lane 0 writes an entry, all lanes scan the row.
template <bool Complete>
void play() {
  alignas(64) std::array<uint32_t, 16> row;
  row.fill(Fixed28::pad());
  run_emulated<4>([&row](const EmulatedTeam<4>& lane) {
    const Team<Complete> team{lane};
    for (uint32_t t = 0; t < 100; ++t) {
      const uint32_t action = t % 15;
      team.once([&] { row[action] = (1000 + 7 * t) << 4 | action; });
      Fixed28::scan(team, row.data(), 16);
    }
  });
}

/// The exit code of this program run with `argument`; -1 if it ended in another way.
int run(const char* argument) {
  const pid_t child = fork();
  if (child == 0) {
    // ThreadSanitizer cannot find room for its shadow memory on systems that spread addresses wide
    personality(ADDR_NO_RANDOMIZE);
    setenv("TSAN_OPTIONS", "exitcode=66", 1);
    execl("/proc/self/exe", "missing_barrier", argument, static_cast<char*>(nullptr));
    _exit(1);
  }
  int status = 0;
  if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status)) return -1;
  return WEXITSTATUS(status);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1) {
    if (std::strcmp(argv[1], "complete") == 0) play<true>();
    if (std::strcmp(argv[1], "incomplete") == 0) play<false>();
    return 0;
  }
  const int complete = run("complete");
  const int incomplete = run("incomplete");
  std::printf("with the barrier: exit code %d, 0 expected; without: %d, %d expected\n", complete,
              incomplete, kRace);
  return complete == 0 && incomplete == kRace ? 0 : 1;
}
#else
int main() {
  std::puts("skipped: not built with ThreadSanitizer");
  return 77;
}
#endif
