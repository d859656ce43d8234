#include "base/log.h"

#include <gtest/gtest.h>
#include <pty.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <functional>
#include <memory>
#include <regex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/log_destination.h"
#include "tests/base/temporary_directory.h"

namespace sluice {
namespace {

std::string drain(int descriptor) {
  std::string text;
  char piece[4096];
  for (ssize_t got; (got = read(descriptor, piece, sizeof(piece))) > 0;)
    text.append(piece, static_cast<std::size_t>(got));
  return text;  // a terminal reports an error after the other end is closed
}

// The stderr of a new process, since the log inspects its environment only once.
std::string printed(bool on_terminal, const char* no_color, const std::function<void()>& work) {
  int ours = -1, theirs = -1, ends[2] = {-1, -1};
  if (on_terminal) {
    EXPECT_EQ(openpty(&ours, &theirs, nullptr, nullptr, nullptr), 0);
  } else {
    EXPECT_EQ(pipe(ends), 0);
    ours = ends[0];
    theirs = ends[1];
  }
  const pid_t child = fork();
  if (child == 0) {
    setenv("TERM", "xterm", 1);
    no_color == nullptr ? unsetenv("NO_COLOR") : setenv("NO_COLOR", no_color, 1);
    dup2(theirs, STDERR_FILENO);
    work();
    _exit(0);
  }
  close(theirs);
  const std::string text = drain(ours);
  close(ours);
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  return text;
}

void three_lines() {
  log::info("plain");
  log::warn("look");
  log::error("broken");
}

TEST(Log, LinesGoToStderrAndOnlyWarningsAndErrorsAreMarked) {
  EXPECT_EQ(printed(false, nullptr, three_lines), "plain\nwarning: look\nerror: broken\n");
}

TEST(Log, TheFirstFileBeginsWithEarlierWarnings) {
  const testing::TemporaryDirectory folder;
  const std::string first = folder.path() / "first", second = folder.path() / "second";
  const std::string console = printed(false, nullptr, [&] {
    three_lines();
    log::open_file(first);
    log::info("inside");
    log::close_file();
    log::warn("between");
    log::open_file(second);
    log::warn("later");
  });
  EXPECT_EQ(console,
            "plain\nwarning: look\nerror: broken\ninside\nwarning: between\nwarning: later\n");
  const std::regex expected("\\S+Z warning: look\n\\S+Z inside\n");
  EXPECT_TRUE(std::regex_match(read_file(first), expected)) << read_file(first);
  EXPECT_TRUE(std::regex_match(read_file(second), std::regex("\\S+Z warning: later\n")))
      << read_file(second);
}

TEST(Log, ColorsOnATerminalUnlessNoColorIsSet) {
  const std::string colored = printed(true, nullptr, three_lines);
  EXPECT_TRUE(colored.starts_with("plain\r\n")) << colored;
  EXPECT_NE(colored.find("\x1b[33m\x1b[1mwarning: \x1b[m"), std::string::npos) << colored;
  EXPECT_EQ(printed(true, "1", three_lines), "plain\r\nwarning: look\r\nerror: broken\r\n");
  // an empty variable counts as unset: https://no-color.org
  EXPECT_EQ(printed(true, "", three_lines), colored);
}

TEST(Log, TextIsNotInterpretedAsAFormat) {
  EXPECT_EQ(printed(false, nullptr, [] { log::info("{} %v {0} %s"); }), "{} %v {0} %s\n");
}

// Lines contain names, values and data; an error may report several problems, one per line.
TEST(Log, ControlCharactersAreEscaped) {
  const testing::TemporaryDirectory folder;
  const std::string path = folder / "log.txt";
  const std::string text = printed(false, nullptr, [&] {
    log::open_file(path);
    log::info("a\x1b[2J\nb\tc\x7f\x80");
    log::warn("x\r\ny");
    log::error("one\x1b[1m\ntwo\x07\n");
    log::close_file();
  });
  EXPECT_EQ(text,
            "a\\x1b[2J\\nb\\tc\\x7f\\x80\nwarning: x\\r\\ny\nerror: one\\x1b[1m\ntwo\\x07\n\n");
  EXPECT_EQ(read_file(path).find('\x1b'), std::string::npos);
}

TEST(Log, ProgressIsShownOnlyOnTerminals) {
  const auto work = [] {
    log::progress("step 1");
    log::progress("step 2");
    log::info("saved");
    log::progress("step 3");
    log::end_progress();
  };
  EXPECT_EQ(printed(false, nullptr, work), "saved\n");
  EXPECT_EQ(printed(true, "1", work),
            "\rstep 1\x1b[K\rstep 2\x1b[K\r\nsaved\r\n\rstep 3\x1b[K\r\n");
}

TEST(Log, ProgressTablesAreOverwrittenAndErased) {
  const auto work = [] {
    const std::vector<std::string> three{"cells", "a", "b"}, two{"cells", "b"};
    log::progress(three);
    log::progress(two);
    log::info("a: done");
  };
  EXPECT_EQ(printed(false, nullptr, work), "a: done\n");
  EXPECT_EQ(printed(true, "1", work),
            "\rcells\x1b[K\r\n\ra\x1b[K\r\n\rb\x1b[K\x1b[2A\rcells\x1b[K\r\n\rb\x1b[K\x1b[J\x1b["
            "1A\r\x1b[Ja: done\r\n");
}

TEST(Log, ProgressFitsTheTerminal) {
  const std::string text = printed(true, "1", [] { log::progress(std::string(500, 'x')); });
  EXPECT_LE(text.size(), 90U);
  EXPECT_NE(text.find("xx..."), std::string::npos);
}

TEST(Log, FileMirrorsLinesWithTimesButNotProgress) {
  const testing::TemporaryDirectory folder;
  const std::string path = folder / "log.txt";
  printed(true, nullptr, [&] {
    log::open_file(path);
    log::warn("one");
    log::progress("step");
    log::close_file();
    log::info("two");
    log::open_file(path);
    log::info("three");
  });
  const std::regex expected(
      R"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ warning: one\n\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ three\n)");
  EXPECT_TRUE(std::regex_match(read_file(path), expected)) << read_file(path);
}

TEST(Log, AFailingFileIsReportedOnceAndAbandoned) {
  const std::string text = printed(false, nullptr, [] {
    log::open_file("/dev/full");
    log::info("one");
    log::info("two");
  });
  EXPECT_TRUE(std::regex_match(text, std::regex("one\nwarning: stopped writing the log file: "
                                                "[^\n]*No space left on device[^\n]*\ntwo\n")))
      << text;
}

TEST(Log, AnUnwritableFileIsAnError) {
  const testing::TemporaryDirectory folder;
  const std::string text = printed(false, nullptr, [&] {
    try {
      log::open_file(folder.path().string());
    } catch (const UserError& error) {
      log::error(error.what());
    }
  });
  EXPECT_TRUE(text.starts_with("error: " + folder.path().string() + ": cannot open the log file: "))
      << text;
}

TEST(Log, ARedirectedThreadHasItsOwnConsoleAndLogFile) {
  const testing::TemporaryDirectory folder;
  const std::string console = printed(true, "1", [&] {
    log::warn("of the process");
    std::vector<std::thread> threads;
    for (const std::string name : {"a", "b"}) {
      threads.emplace_back([&folder, name] {
        const log::Redirect redirect(log::Destination::append_to(folder / name));
        log::open_file(folder / (name + ".log"));
        log::progress(name + " shows progress");
        if (log::is_terminal()) std::abort();
        for (int i = 0; i < 50; ++i) log::info(name + " line");
        std::thread([destination = log::current(), name] {
          const log::Redirect inner(destination);
          log::warn(name + " from a thread");
        }).join();
        log::close_file();
        log::info(name + " end");
      });
    }
    for (std::thread& thread : threads) thread.join();
    log::info("after");
  });
  EXPECT_EQ(console, "warning: of the process\r\nafter\r\n");
  for (const std::string name : {"a", "b"}) {
    std::string text;
    for (int i = 0; i < 50; ++i) text += name + " line\n";
    text += "warning: " + name + " from a thread\n";
    EXPECT_EQ(read_file(folder / name), text + name + " end\n");
    const std::string file =
        std::regex_replace(read_file(folder / (name + ".log")), std::regex("(^|\n)\\S+Z "), "$1");
    EXPECT_EQ(file, text);
  }
}

// Lines of threads that work for all runs go to all of them, each once.
TEST(Log, UnredirectedThreadsConcernAllDestinations) {
  const testing::TemporaryDirectory folder;
  const auto of_process = log::concerned();
  ASSERT_EQ(of_process.size(), 1u);
  EXPECT_EQ(of_process[0], log::current());
  const auto a = log::Destination::append_to(folder / "a"),
             b = log::Destination::append_to(folder / "b");
  {
    const log::Redirect to_a(a);
    EXPECT_EQ(log::concerned(), std::vector{a});
    const log::Redirect to_b(b);
    EXPECT_EQ(log::concerned(), std::vector{b});
    std::thread([&] {
      const auto all = log::concerned();
      EXPECT_EQ((std::set<std::shared_ptr<log::Destination>>(all.begin(), all.end())),
                (std::set<std::shared_ptr<log::Destination>>{a, b}));
    }).join();
  }
  EXPECT_EQ(log::concerned(), of_process);
  EXPECT_TRUE(a->is_new("text"));
  EXPECT_FALSE(a->is_new("text"));
  EXPECT_TRUE(b->is_new("text"));
}

}  // namespace
}  // namespace sluice
