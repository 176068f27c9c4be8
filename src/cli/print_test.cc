#include "cli/print.h"

#include <gtest/gtest.h>

#include "cli/log_printer.h"
#include "cli/progress.h"

namespace locald::cli {
namespace {

TEST(Print, TablesAlignWhateverTheColours) {
  EXPECT_EQ(table({"A", "B"}, {{paint(Colour::red, "xyz", true), "1"}, {"ü", "2"}}),
            "A    B\n\x1b[31mxyz\x1b[0m  1\nü    2\n");
}

TEST(Print, CutsByColumnsNotBytes) {
  EXPECT_EQ(cut_to("größe", 3), "grö");
  EXPECT_EQ(cut_to("\x1b[31mabcdef\x1b[0m", 2), "\x1b[31mab\x1b[0m");
}

TEST(Print, WrapsAtBlanksAndNeverBeyondTheWidth) {
  EXPECT_EQ(wrapped("web: the health check fails", 12, 2),
            "web: the\n  health\n  check\n  fails\n");
  EXPECT_EQ(wrapped("a: größe", 100, 2), "a: größe\n");
  EXPECT_EQ(wrapped("a: b\n  hint: c", 100, 2), "a: b\n  hint: c\n");
  EXPECT_EQ(wrapped("x 0123456789abcdef y", 8, 2), "x\n  012345\n  6789ab\n  cdef y\n");
  for (std::size_t width = 4; width < 60; ++width) {
    const std::string text = wrapped(
        "web: failed: /a/rather/long/path/without/any/blank: No such file or directory", width, 2);
    std::size_t from = 0;
    while (from < text.size()) {
      const auto end = text.find('\n', from);
      EXPECT_LE(columns_of(std::string_view(text).substr(from, end - from)), width) << text;
      from = end + 1;
    }
  }
}

TEST(Print, TimestampsAreUtcWithMicroseconds) {
  EXPECT_EQ(timestamp(1'700'000'000'123'456'789), "2023-11-14T22:13:20.123456Z");
}

TEST(Print, StatesAreToldInWords) {
  using Code = std::optional<int>;
  using Text = std::optional<std::string>;
  const auto service = [](const std::string& state, Code code, Text signal, Text reason) {
    ipc::ServiceStatus out{.state = state, .health = "none"};
    out.exit_code = code;
    out.signal = std::move(signal);
    out.reason = std::move(reason);
    return out;
  };
  EXPECT_EQ(state_text(service("exited", 3, {}, {})), "exited 3");
  EXPECT_EQ(state_text(service("failed", {}, "SIGSEGV", {})), "failed by SIGSEGV");
  EXPECT_EQ(state_text(service("failed", 3, {}, "gave up")), "failed: gave up");
  EXPECT_EQ(state_text(service("exited", 1, {}, "exited with code 1")), "exited with code 1");
  EXPECT_EQ(state_text(service("exited", 1, {}, "was ended by SIGKILL")), "ended by SIGKILL");
  EXPECT_EQ(state_text(service("exited", 1, {}, "exited with code 1"), false), "exited 1");
  EXPECT_EQ(state_text(ipc::ServiceStatus{.state = "running", .health = "healthy"}),
            "running (healthy)");
  EXPECT_EQ(state_text(ipc::ContainerStatus{.state = "exited", .exit_code = 3}), "exited 3");
}

TEST(LogPrinter, PrefixesLinesAndGoesOnWithCutOnes) {
  LogPrinter printer({.names = {"web", "worker"}});
  EXPECT_EQ(printer.format({.source = 0, .text = "hi"}), "web    | hi\n");
  EXPECT_EQ(printer.format({.source = 1, .text = "part", .cut = true}), "worker | part");
  EXPECT_EQ(printer.format({.source = 1, .text = "end"}), "end\n");
}

TEST(LogPrinter, JsonIsValidWhateverTheServiceWrote) {
  LogPrinter printer({.names = {"web"}, .json = true});
  EXPECT_EQ(printer.format({.source = 0,
                            .time_ns = 0,
                            .stream = LogStream::err,
                            .text = "\xff\"x\x01",
                            .instance = "ab"}),
            "{\"service\":\"web\",\"time\":\"1970-01-01T00:00:00.000000Z\",\"stream\":\"stderr\","
            "\"line\":\"\xef\xbf\xbd\\\"x\\u0001\",\"instance\":\"ab\"}\n");
}

}  // namespace
}  // namespace locald::cli
