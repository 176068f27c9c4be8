/* The service that every supervisor runs: a static program that writes down when it lived.
 *
 *   svc                 writes CLOCK_MONOTONIC in ns to $SVC_MARKS/PID, then waits; ends at SIGTERM
 *   svc flood N         the same; at SIGUSR1 writes N lines of 80 bytes to stdout as fast as they are taken,
 *                       then $SVC_MARKS/PID.done: time before the first and after the last write
 *   svc web MS          the same; listens on 127.0.0.1:$PORT after MS ms, writes the time to PID.done, answers 200 to everything
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static long long now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void mark(const char* suffix, long long a, long long b) {
  char path[4096], temporary[4100], text[64];
  const char* dir = getenv("SVC_MARKS");
  snprintf(path, sizeof path, "%s/%d%s", dir ? dir : ".", (int)getpid(), suffix);
  snprintf(temporary, sizeof temporary, "%s.t", path);
  int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  int n = snprintf(text, sizeof text, "%lld %lld\n", a, b);
  if (fd < 0 || write(fd, text, n) != n || close(fd) || rename(temporary, path)) _exit(99);
}

static void flood(long lines) {
  enum { kLine = 80, kPerWrite = 819 };
  static char block[kLine * kPerWrite];
  sigset_t set;
  int signal;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  sigwait(&set, &signal);
  long long first = now();
  memset(block, 'x', sizeof block);
  for (long i = 0; i < lines;) {
    int k = 0;
    for (; k < kPerWrite && i < lines; k++, i++) {
      char* p = block + k * kLine;
      for (int d = 9, v = i; d >= 0; d--, v /= 10) p[d] = '0' + v % 10;
      p[10] = ' ';
      p[kLine - 1] = '\n';
    }
    for (int done = 0; done < k * kLine;) {
      ssize_t n = write(1, block + done, k * kLine - done);
      if (n < 0) _exit(98);
      done += n;
    }
  }
  mark(".done", first, now());
}

static void web(int ms) {
  usleep(ms * 1000);
  const char* port = getenv("PORT");
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port ? atoi(port) : 0), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
  setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (bind(s, (struct sockaddr*)&a, sizeof a) || listen(s, 64)) _exit(97);
  mark(".done", now(), 0);
  for (;;) {
    static const char kReply[] = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n";
    char request[4096];
    int c = accept(s, 0, 0);
    if (c < 0) continue;
    if (read(c, request, sizeof request) > 0 && write(c, kReply, sizeof kReply - 1) < 0) { /* it has gone again */ }
    close(c);
  }
}

int main(int argc, char** argv) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  sigprocmask(SIG_BLOCK, &set, 0);
  signal(SIGPIPE, SIG_IGN);
  mark("", now(), 0);
  if (argc > 2 && !strcmp(argv[1], "flood")) flood(atol(argv[2]));
  if (argc > 2 && !strcmp(argv[1], "web")) web(atoi(argv[2]));
  for (;;) pause();
}
