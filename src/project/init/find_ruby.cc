// Gemfile: Rails, Rack, Sidekiq.
#include <set>
#include <utility>

#include "base/strings.h"
#include "project/init/part.h"

namespace locald::project::init {

void find_ruby(const Place& place, Part& part) {
  const auto text = place.read("Gemfile");
  if (!text) return;
  part.files.emplace_back("Gemfile");
  std::set<std::string> gems;
  for (const std::string& line : split(*text, '\n')) {
    const std::string_view words = trim(line);
    if (!words.starts_with("gem ") && !words.starts_with("gem(")) continue;
    const std::size_t open = words.find_first_of("\"'");
    if (open == std::string_view::npos) continue;
    const std::size_t close = words.find(words[open], open + 1);
    gems.insert(std::string(words.substr(open + 1, close - open - 1)));
  }
  static constexpr std::pair<std::string_view, Store> kGems[] = {
      {"pg", Store::postgres},    {"mysql2", Store::mysql},     {"trilogy", Store::mysql},
      {"mongoid", Store::mongo},  {"mongo", Store::mongo},      {"redis", Store::redis},
      {"sidekiq", Store::redis},  {"resque", Store::redis},     {"redis-client", Store::redis},
      {"bunny", Store::rabbitmq}, {"sneakers", Store::rabbitmq}};
  for (const auto& [name, store] : kGems)
    if (gems.contains(std::string(name))) part.stores.insert(store);
  const std::string rails =
      place.has("bin/") && place.below("bin").has("rails") ? "bin/rails" : "bundle exec rails";
  if (gems.contains("rails")) {
    part.processes.push_back(
        {.name = "migrate", .command = rails + " db:prepare", .from = "Rails", .once = true});
    part.processes.push_back(
        {.name = "web", .command = rails + " server -p $PORT", .from = "Rails", .listens = true});
  } else if (place.has("config.ru")) {
    part.processes.push_back({.name = "web",
                              .command = "bundle exec rackup -p $PORT",
                              .from = "config.ru",
                              .listens = true});
  }
  if (gems.contains("sidekiq"))
    part.processes.push_back(
        {.name = "worker", .command = "bundle exec sidekiq", .from = "sidekiq"});
}

}  // namespace locald::project::init
