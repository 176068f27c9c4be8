#include "oci/registry/www_authenticate.h"

#include "base/strings.h"

namespace locald::oci {
namespace {

constexpr std::size_t kMaxParams = 32;

bool is_token_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

class Reader {
 public:
  explicit Reader(std::string_view text) : rest_(text) {}

  void skip(std::string_view chars) {
    while (!rest_.empty() && chars.find(rest_[0]) != std::string_view::npos) rest_.remove_prefix(1);
  }
  bool take(char c) {
    if (rest_.empty() || rest_[0] != c) return false;
    rest_.remove_prefix(1);
    return true;
  }
  std::string token() {
    std::size_t n = 0;
    while (n < rest_.size() && is_token_char(rest_[n])) ++n;
    std::string out(rest_.substr(0, n));
    rest_.remove_prefix(n);
    return out;
  }
  /// After the opening quote; false if it is never closed.
  bool quoted(std::string& out) {
    while (!rest_.empty()) {
      char c = rest_[0];
      rest_.remove_prefix(1);
      if (c == '"') return true;
      if (c == '\\' && !rest_.empty()) {
        c = rest_[0];
        rest_.remove_prefix(1);
      }
      out += c;
    }
    return false;
  }
  bool empty() const { return rest_.empty(); }
  bool at_end_of_param() const {
    return rest_.empty() || rest_[0] == ',' || rest_[0] == ' ' || rest_[0] == '\t';
  }
  std::string_view rest() const { return rest_; }
  void back_to(std::string_view rest) { rest_ = rest; }

 private:
  std::string_view rest_;
};

}  // namespace

std::vector<Challenge> parse_www_authenticate(std::string_view header) {
  std::vector<Challenge> out;
  Reader in(header);
  while (true) {
    in.skip(" \t,");
    const std::string scheme = in.token();
    if (scheme.empty() || !in.at_end_of_param()) return out;
    Challenge challenge{to_lower(scheme), {}};
    while (challenge.params.size() < kMaxParams) {
      in.skip(" \t,");
      const std::string_view before = in.rest();
      const std::string key = to_lower(in.token());
      in.skip(" \t");
      if (key.empty() || !in.take('=')) {
        in.back_to(before);  // not a parameter: the next challenge's scheme
        break;
      }
      in.skip(" \t");
      std::string value;
      if (in.take('"')) {
        if (!in.quoted(value)) return out;
      } else {
        value = in.token();
      }
      if (!in.at_end_of_param()) return out;
      challenge.params.emplace(key, std::move(value));
    }
    out.push_back(std::move(challenge));
    if (in.empty()) return out;
  }
}

}  // namespace locald::oci
