#pragma once

/// How the server starts a shim. The only header that `runtime` and `shim` share
/// beside those of base. What is said later, over the control socket, is
/// base/log/attach_protocol.h.
///
///     server                     locald-shim (run)              the shim proper
///       | -- exec, descriptors 3.. ->|                                |
///       |                            | joins namespaces, forks -----> | setsid, subreaper; of a
///       |                            | ends                           | container: PID 1 of a pid
///       |                                                             | namespace of its own
///       | <------ status -------------------------------------------- | over kShimControl: ctl.sock
///       |                                                             | listens, instance.json is
///       |                                                             | there
///       | <------ started | failed ---------------------------------- |
///
/// A failure before `status` is a `failed` frame too, and nothing is left.
///
/// The spec (descriptor kShimSpec) is a memory file: pairs of NUL-terminated
/// strings, key and value, in any order; a key may repeat where it says so. An
/// unknown key or one that is missing is a bug: the shim refuses.
namespace locald::shim {

// Modes: argv[1]. argv[2], if any, is for people who read `ps`.
inline constexpr char kModeRun[] = "run";      ///< an instance: kind "host", "container" or "exec"
inline constexpr char kModeProbe[] = "probe";  ///< one exec health probe: kind "host" or "exec"
inline constexpr char kModeHolder[] = "holder";  ///< makes a user namespace
inline constexpr char kModeInit[] = "init";      ///< inside a container, see below

// Descriptors of `run` and `probe`.
inline constexpr int kShimSpec = 3;
inline constexpr int kShimFolder = 4;  ///< svc/<id>/ (run); the process file (probe of kind "exec")
inline constexpr int kShimControl =
    5;  ///< run: a connected socket, client `control` without hello; probe: see below
inline constexpr int kShimLog = 6;  ///< the log folder; key "log"
inline constexpr int kShimJoin =
    7;  ///< container: the user namespace (key "userns"); exec: pidfd of the target's shim

/// And above: container: what the keys "bind" name, in their order; host: the working folder, with
/// key "cwd_open".
inline constexpr int kShimExtra = 8;

// `holder`: descriptor 3 is a socket. It makes a user namespace (and a mount in it, to see
// that it may), writes one byte 'U', waits until the other side closes, ends. On failure the byte
// is 'E', then an int32 errno, then the name of the step.
inline constexpr int kHolderSocket = 3;

// `init [--map UID:GID] [--seal] [--exec] [--report] -- CMD [ARG…]` (init.h): the reaper of a
// container, and other users than 0 where the container's user namespace holds a single id. The
// shim's own file is in the container as kInitPath; called by that name, the mode's word falls
// away.
inline constexpr char kInitPath[] = "/dev/init";
inline constexpr char kInitMap[] = "--map";    ///< a user namespace in which the caller is UID:GID
inline constexpr char kInitSeal[] = "--seal";  ///< no further one: unshare(2) is refused
inline constexpr char kInitExec[] = "--exec";  ///< no fork: becomes CMD
/// kInitReportFd is a pipe: closed by the execve of CMD, or one sentence comes of why there was
/// none. Without it that sentence goes to stderr. Key "report": the shim makes the pipe.
inline constexpr char kInitReport[] = "--report";
inline constexpr int kInitReportFd = 3;

// `probe`: on kShimControl comes one ProbeReply and then the first bytes of the output.
// When the server closes its end, all is killed.
struct ProbeReply {
  int code;  ///< 0..255, 128 + signal, 125, 126, 127 where it never ran, -1: killed at timeout_ms
  int never_ran;  ///< 1: the text says why
  int length;     ///< of the text, at most kProbeOutput
};
inline constexpr int kProbeOutput = 4096;

// Keys of every kind.
inline constexpr char kKeyKind[] = "kind";  ///< "host" | "container" | "exec"
inline constexpr char kKeyId[] = "id";      ///< of the instance; container: runc's id
inline constexpr char kKeyNonce[] = "nonce";
inline constexpr char kKeyInstance[] =
    "instance";  ///< text of instance.json without its last brace; the shim adds what it knows
inline constexpr char kKeyKept[] =
    "kept";  ///< absolute path of the folder where ID.json is a copy of it; may be absent
inline constexpr char kKeyLog[] = "log";         ///< "1": kShimLog is there
inline constexpr char kKeyLogMax[] = "log_max";  ///< bytes of the whole folder
inline constexpr char kKeyTty[] = "tty";         ///< "1"
inline constexpr char kKeyRows[] = "rows";
inline constexpr char kKeyColumns[] = "columns";
inline constexpr char kKeyStdin[] = "stdin";  ///< "1": a pipe, else /dev/null
inline constexpr char kKeyHold[] = "hold";    ///< "1"
inline constexpr char kKeyStopSignal[] =
    "stop_signal";  ///< number: for a stop that names none; absent: SIGTERM
inline constexpr char kKeyTimeout[] = "timeout_ms";  ///< probe

// host
inline constexpr char kKeyArg[] = "arg";  ///< repeats
inline constexpr char kKeyEnv[] = "env";  ///< repeats: "K=V"
inline constexpr char kKeyCwd[] = "cwd";
inline constexpr char kKeyCwdOpen[] = "cwd_open";  ///< "1": kShimExtra is that folder
inline constexpr char kKeyUmask[] = "umask";       ///< decimal
inline constexpr char kKeyRlimit[] = "rlimit";     ///< repeats: "RESOURCE:SOFT:HARD", decimal

// container and exec
inline constexpr char kKeyRunc[] = "runc";  ///< absolute path
inline constexpr char kKeyRuncRoot[] = "runc_root";
inline constexpr char kKeyRunDir[] =
    "dir";  ///< absolute path of kShimFolder: runc.log, pid, process.json
inline constexpr char kKeyUserns[] =
    "userns";  ///< container: kShimJoin is there; exec: join the target's too
inline constexpr char kKeyBundle[] = "bundle";
inline constexpr char kKeyLowerBase[] = "lower_base";
inline constexpr char kKeyLower[] = "lower";  ///< repeats, topmost first
inline constexpr char kKeyUpper[] = "upper";
inline constexpr char kKeyWork[] = "work";
inline constexpr char kKeyBind[] =
    "bind";  ///< repeats: a path of the host's without symlinks; number N of them is descriptor
             ///< kShimExtra + N, and is mounted on bundle/kBindFolder/N
inline constexpr char kKeyNetns[] =
    "netns";  ///< container: number of a descriptor above the binds': the network namespace that
              ///< the shim is in, and the container; what is above that the shim keeps open. exec:
              ///< "1": join the target's too
inline constexpr char kKeyReport[] =
    "report";  ///< "1": the process begins with kInitPath and its kInitReport
inline constexpr char kKeyTarget[] =
    "target";  ///< exec: runc's id; the process is dir/process.json

inline constexpr char kBindFolder[] = "binds";  ///< in the bundle

// Names in svc/<id>/.
inline constexpr char kControlSocket[] = "ctl.sock";
inline constexpr char kInstanceFile[] = "instance.json";
inline constexpr char kExitFile[] = "exit.json";
inline constexpr char kProcessFile[] = "process.json";
inline constexpr char kPidFile[] = "pid";
inline constexpr char kRuncLog[] = "runc.log";
inline constexpr char kConsoleSocket[] = "console.sock";

}  // namespace locald::shim
