#pragma once
#include <functional>
#include <list>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/sys/unique_fd.h"
#include "net/packet.h"
#include "netd/acceptor.h"
#include "netd/poller.h"

namespace locald::netd {

/// What the server asks of a process of netd, over a socket in the project's run folder, which is
/// its user's alone: packets of text, "VERB NUMBER[ WORDS]", and descriptors.
///
///     plan N           the first descriptor is a file with the plan; the others belong to it
///     more N           descriptors that belong to this asker's next request, behind its own
///     dial N ADDR PORT a connection inside: for probes
///     version N
///     sandbox N        the network namespace that it is in
///     namespace N NAME that of a service
///     hand-over N FROM lines of a plan, with the sockets that they speak of, from the thing with
///                      the number FROM on; before them, on a line, the number to continue with, or 0
///     retire N         takes no more connections, and ends with the last that it has
///     end N            at once
///
/// Answers: "ok N[ WORDS]", with what was asked for; "error N SENTENCE". The process that connects
/// outside knows `plan` and `version`.
class Control {
 public:
  struct Request {
    std::string verb;
    std::vector<std::string> words;
    std::vector<UniqueFd> fds;
  };
  struct Answer {
    std::string words;
    std::vector<UniqueFd> fds;
    std::vector<int> lent;  ///< descriptors that stay here, too
  };
  using Reply = std::function<void(Result<Answer>)>;  ///< once; the asker may be gone by then
  using Handler = std::function<void(Request request, Reply reply)>;

  /// @param listener  A socket of type SOCK_SEQPACKET that listens.
  Control(Poller& poller, UniqueFd listener, Handler handler);

 private:
  struct Peer {
    UniqueFd fd;
    Poller::Watch watch;
    std::vector<UniqueFd> more;
  };
  void accept(UniqueFd connection);
  void receive(const std::shared_ptr<Peer>& peer);

  Poller& poller_;
  Handler handler_;
  std::list<std::shared_ptr<Peer>> peers_;
  Acceptor acceptor_;
};

/// The text of a file that was handed over. @return Errc::invalid_input: too large, or unreadable.
Result<std::string> text_of(const UniqueFd& file);

}  // namespace locald::netd
