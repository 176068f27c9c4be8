#include <fcntl.h>
#include <termios.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <optional>

#include "base/strings.h"
#include "base/sys/fs_at.h"
#include "base/sys/sys.h"
#include "cli/auth_file.h"
#include "cli/context.h"
#include "cli/print.h"
#include "cli/verbs.h"
#include "ipc/messages/store.h"

namespace locald::cli {
namespace {

constexpr char kInterrupt = 3;                   // Ctrl-C
constexpr std::size_t kMaxPassword = 64u << 10;  // tokens of clouds have some KiB

/// A terminal that shows nothing of what is typed until this goes.
class Hidden {
 public:
  explicit Hidden(int fd) : fd_(fd) {
    on_ = ::tcgetattr(fd, &saved_) == 0;
    termios quiet = saved_;
    quiet.c_lflag &= ~static_cast<tcflag_t>(ECHO | ISIG);
    quiet.c_cc[VEOL] = kInterrupt;  // it ends the line, and is read here: the echo comes back
    if (on_) (void)::tcsetattr(fd, TCSAFLUSH, &quiet);
  }
  ~Hidden() {
    if (on_) (void)::tcsetattr(fd_, TCSAFLUSH, &saved_);
  }
  Hidden(const Hidden&) = delete;
  Hidden& operator=(const Hidden&) = delete;

 private:
  int fd_;
  termios saved_{};
  bool on_ = false;
};

/// A line from the terminal, whatever stdin is.
Result<std::string> ask(const std::string& question, bool hidden) {
  const auto terminal = sys::open("/dev/tty", O_RDWR | O_NOCTTY);
  if (!terminal)
    return Error(Errc::invalid_input, "login asks for user and password, and there is no terminal")
        .with_hint("locald login --user NAME --password-stdin REGISTRY < FILE");
  std::string line;
  char c = 0;
  {
    const auto quiet = hidden ? std::make_unique<Hidden>(terminal->get()) : nullptr;
    write_to(terminal->get(), question);  // once nothing is shown any more
    while (true) {
      const ssize_t n = ::read(terminal->get(), &c, 1);
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0 || c == '\n' || c == kInterrupt) break;
      line += c;
    }
  }
  if (hidden) write_to(terminal->get(), "\n");
  if (c == kInterrupt) return Error(Errc::cancelled, "nothing was changed");
  return line;
}

Result<std::string> password_from_stdin() {
  std::string text = TRY(read_all(STDIN_FILENO, kMaxPassword).context("--password-stdin"));
  while (text.ends_with('\n') || text.ends_with('\r')) text.pop_back();
  return text;
}

Result<int> login_verb(Context& context, const Args& args) {
  const std::string wanted = args.arguments().empty() ? "docker.io" : args.argument(0);
  const bool from_stdin = args.has("password-stdin");
  std::string user = args.value("user").value_or("");
  if (from_stdin && user.empty())
    return usage_error("--password-stdin needs --user",
                       "locald login --user NAME --password-stdin REGISTRY < FILE");
  const std::string file = TRY(auth_file());
  if (user.empty()) user = TRY(ask("User for " + wanted + ": ", /*hidden=*/false));
  if (user.empty() || user.find(':') != std::string::npos)
    return usage_error("invalid user \"" + user + "\": it is not empty and holds no colon");
  const std::string password =
      TRY(from_stdin ? password_from_stdin() : ask("Password: ", /*hidden=*/true));
  if (password.empty()) return usage_error("the password is empty");
  auto client = TRY(context.connect());
  const auto reply = TRY(client.ask(ipc::LoginRequest{wanted, user, password}));
  if (!reply.asked) notice(reply.registry + " answers without a login; this one was not tried");
  if (const std::string helper = login_helper(file, reply.registry); !helper.empty())
    notice(file + " names docker-credential-" + helper +
           " for this registry, which other tools ask first");
  TRY(store_login(file, reply.registry, user, password));
  err("logged in to " + reply.registry + "; kept in " + file + "\n");
  return 0;
}

Result<int> logout_verb(Context&, const Args& args) {
  const bool all = args.has("all");
  if (all && !args.arguments().empty()) return usage_error("--all goes without REGISTRY");
  const std::string registry = args.arguments().empty() ? "docker.io" : args.argument(0);
  std::size_t count = 0;
  for (const std::string& file : login_files()) {
    const std::size_t here = TRY(remove_login(file, all ? std::nullopt : std::optional(registry)));
    if (here != 0) err("removed from " + file + "\n");
    count += here;
  }
  if (count == 0 && !all)
    return Error(Errc::not_found, "there is no login for " + registry)
        .with_hint("looked in " + join(login_files(), ", "));
  return 0;
}

}  // namespace

const Verb kLogin{
    .name = "login",
    .usage = "[--user NAME] [--password-stdin] [REGISTRY]",
    .summary = "log in to a registry, for pull and push",
    .details =
        "Asks for what is not given, tries it at the registry, and keeps it where Podman, Skopeo\n"
        "and Buildah do: in $REGISTRY_AUTH_FILE, else $XDG_RUNTIME_DIR/containers/auth.json, else\n"
        "~/.config/containers/auth.json, readable for you alone. Without REGISTRY it is Docker\n"
        "Hub. Logins of podman and docker are read too.\n\n"
        "examples:\n"
        "  locald login registry.example:5000\n"
        "  locald login --user ci --password-stdin registry.example < token\n",
    .options = {{'u', "user", "NAME", "instead of a question"},
                {0, "password-stdin", nullptr, "the password is what stdin holds"}},
    .max_arguments = 1,
    .run = login_verb,
};
const Verb kLogout{
    .name = "logout",
    .usage = "[--all] [REGISTRY]",
    .summary = "remove a login for a registry",
    .details =
        "From each file that `locald login`, podman and docker keep logins in. Without REGISTRY\n"
        "it is Docker Hub's.\n",
    .options = {{'a', "all", nullptr, "of all registries"}},
    .max_arguments = 1,
    .run = logout_verb,
};

}  // namespace locald::cli
