#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/strings.h"
#include "base/sys/fs_at.h"
#include "base/sys/sys.h"
#include "cli/context.h"
#include "cli/print.h"
#include "cli/verbs.h"
#include "ipc/messages/project.h"

namespace locald::cli {
namespace {

/// What is typed in answer, in small letters; nothing where the input ends. Waits for people.
std::optional<std::string> answer_to(const std::string& question) {
  if (!err(question)) return std::nullopt;
  std::string line;
  char c = 0;
  while (true) {
    const ssize_t n = ::read(STDIN_FILENO, &c, 1);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      err("\n");
      return std::nullopt;
    }
    if (c == '\n') return to_lower(trim(line));
    line += c;
  }
}

bool is_yes(const std::optional<std::string>& answer) {
  return answer && (answer->empty() || *answer == "y" || *answer == "yes");
}

void show(const ipc::InitReply& proposal) {
  err("found " + harmless(join(proposal.files, ", ")) + "\n\n");
  std::vector<std::vector<std::string>> rows;
  for (const ipc::ProposedService& service : proposal.services)
    rows.push_back({"  " + service.name, service.what, service.from});
  std::string text = table({"  SERVICE", "WHAT", "FROM"}, rows);
  const std::size_t width = columns_at(STDERR_FILENO);
  for (const std::string& line : split(trim(harmless(text)), '\n'))
    err((line.starts_with("SERVICE") ? "  " : "") + cut_to(line, width - 2) + "\n");
  for (const std::string& note : proposal.notes) err("\n" + wrapped(harmless(note), width, 2));
  err("\n");
}

/// Creates the file; one that is there stays as it is, also where it has come a moment ago.
Result<void> write_new(const std::string& path, const std::string& text) {
  auto fd = sys::open(path, O_WRONLY | O_CREAT | O_EXCL, 0644);
  if (!fd) {
    if (exists(path))
      return Error(Errc::already_exists, path + " is there already")
          .with_hint("locald init --print shows what it would write");
    return Result<void>(std::move(fd).error()).context("write " + path);
  }
  if (write_to(fd->get(), text)) return {};
  ::unlink(path.c_str());
  return Error(Errc::failed, "write " + path + ": not all of it could be written");
}

/// The services that stay, asked one by one. @return those that do not; nothing: input ended
std::optional<std::vector<std::string>> choose(const ipc::InitReply& proposal) {
  std::vector<std::string> without;
  for (const ipc::ProposedService& service : proposal.services) {
    const auto answer = answer_to(service.name + " (" + harmless(service.what) + ")? [Y/n] ");
    if (!answer) return std::nullopt;
    if (!is_yes(answer)) without.push_back(service.name);
  }
  return without;
}

Result<int> init_verb(Context& context, const Args& args) {
  const std::string path = context.file ? *context.file : TRY(working_dir()) + "/locald.toml";
  const bool print = args.has("print");
  if (!print && exists(path))
    return Error(Errc::already_exists, path + " is there already")
        .with_hint("locald config check looks it through; locald init --print shows a proposal");
  const bool asks = !print && !args.has("yes");
  if (asks && !is_terminal(STDIN_FILENO))
    return usage_error("init asks before it writes, and there is no terminal",
                       "locald init --yes writes the proposal, locald init --print shows it");
  auto client = TRY(context.connect());
  ipc::InitRequest request{path.substr(0, std::max<std::size_t>(path.rfind('/'), 1)), {}};
  ipc::InitReply proposal = TRY(client.ask(request));
  if (print) return out(proposal.text) ? 0 : 1;
  show(proposal);
  if (asks) {
    const auto answer = answer_to("Write " + path + "? [Y]es, [n]o, [c]hoose services: ");
    if (answer == "c" || answer == "choose") {
      const auto without = choose(proposal);
      if (!without) return 1;
      request.without = *without;
      proposal = TRY(client.ask(request));
    } else if (!is_yes(answer)) {
      return err("nothing was written\n"), 1;
    }
  }
  TRY(write_new(path, proposal.text));
  err("wrote " + path + "\n");
  context.file = path;
  const ipc::ConfigCheckRequest check{TRY(context.project()), environment()};
  const auto checked =
      TRY(client.ask(check).context("written, and `locald config check` says of it"));
  for (const ipc::ServiceNotice& said : checked.notices)
    err((said.service.empty() ? "" : said.service + ": ") + said.text + "\n");
  err("next: look it through, then locald up\n");
  return 0;
}

}  // namespace

const Verb kInit{
    .name = "init",
    .usage = "[--yes] [--print]",
    .summary = "propose a locald.toml for the project in this folder",
    .details =
        "Looks at this folder and those below it: Procfile, package.json, pyproject.toml,\n"
        "requirements.txt, Pipfile, manage.py, go.mod, Cargo.toml, Gemfile, project.toml,\n"
        "index.html. Databases and brokers that an app depends on become containers, with\n"
        "health checks and volumes, and the app gets their addresses. The proposal is shown,\n"
        "and written after a question. A locald.toml that is there is never changed.\n\n"
        "examples:\n"
        "  locald init                    ask, then write locald.toml\n"
        "  locald init --yes && locald up\n"
        "  locald init --print            write nothing\n",
    .options = {{'y', "yes", nullptr, "write without a question"},
                {0, "print", nullptr, "print the proposal and write nothing"}},
    .max_arguments = 0,
    .run = init_verb,
};

}  // namespace locald::cli
