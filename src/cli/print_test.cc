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

TEST(Print, TimestampsAreUtcWithMicroseconds) {
  EXPECT_EQ(timestamp(1'700'000'000'123'456'789), "2023-11-14T22:13:20.123456Z");
}

TEST(Print, StatesAreToldInWords) {
  const auto service = [](const std::string& state, Json code, Json signal,
                          const std::string& reason) {
    return Json::object({{"state", state},
                         {"health", "none"},
                         {"exit_code", std::move(code)},
                         {"signal", std::move(signal)},
                         {"reason", reason}});
  };
  EXPECT_EQ(state_text(service("exited", 3, nullptr, "")), "exited 3");
  EXPECT_EQ(state_text(service("failed", nullptr, 11, "")), "failed by SIGSEGV");
  EXPECT_EQ(state_text(service("failed", 3, nullptr, "gave up")), "failed: gave up");
  EXPECT_EQ(state_text(Json::object({{"state", "running"}, {"health", "healthy"}})),
            "running (healthy)");
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
