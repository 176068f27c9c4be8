#include "server/launch/command_note.h"

#include <gtest/gtest.h>

namespace locald::server {
namespace {

TEST(CommandNote, SaysWhatRanAndWhoseItWas) {
  EXPECT_EQ(
      command_words({"bash"}, kImagesOwn),
      "it ran `bash`, the image's own command, which ends at once without a terminal: give it "
      "a `command`");
  EXPECT_EQ(command_words({"redis-server", "--port", "a b"}, kImagesOwn),
            "it ran `redis-server --port 'a b'`, the image's own command");
  EXPECT_EQ(command_words({"/bin/sh"}, "the service's `command`"),
            "it ran `/bin/sh`, the service's `command`");
  EXPECT_EQ(command_words({}, kImagesOwn), "");
  EXPECT_LT(command_words({std::string(10000, 'x')}, kImagesOwn).size(), 200u);
}

TEST(CommandNote, NamesTheKeysThatDiffer) {
  const Json before = Json::object({{"argv", Json::array({"a"})}, {"env", "x"}, {"port", 1}});
  EXPECT_EQ(changed_keys(before, before), "");
  EXPECT_EQ(changed_keys(before, Json::object({{"argv", Json::array({"b"})},
                                               {"args", Json::array({"c"})},
                                               {"env", "x"},
                                               {"port", 2},
                                               {"init", true}})),
            "command, port, init");
}

}  // namespace
}  // namespace locald::server
