/* Traffic between two places: a server, and clients that print what they measured.
 *
 *   net serve PORT                       answers on every address, for ever
 *   net ask ADDRESS PORT CONNECTIONS MS  16 bytes there and back again and again, over so many connections
 *   net open ADDRESS PORT CONNECTIONS MS the same, over a new connection each time
 *   net get ADDRESS PORT CONNECTIONS MIB so many MiB in all come from there
 *   net put ADDRESS PORT CONNECTIONS MIB and go there
 *   net name ADDRESS NAME MS             asks the name server there for NAME, one question at a time
 *
 * `ask`, `open` and `name` print how many each second, then the median and the 99th percentile in us; `get` and `put` MiB each second.
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { kMost = 64, kTimes = 1 << 20, kBlock = 1 << 18 };

static long long now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void fail(const char* what) {
  perror(what);
  exit(1);
}

static int whole(int fd, char* bytes, size_t size, int out) {
  while (size > 0) {
    ssize_t n = out ? send(fd, bytes, size, MSG_NOSIGNAL) : recv(fd, bytes, size, 0);
    if (n <= 0) return 0;
    bytes += n;
    size -= n;
  }
  return 1;
}

static void* serve_one(void* at) {
  int fd = (int)(long)at;
  char* block = calloc(1, kBlock);
  char request[16];
  int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  while (whole(fd, request, sizeof request, 0)) {
    long long size;
    memcpy(&size, request + 8, sizeof size);
    if (request[0] == 'a' && !whole(fd, request, sizeof request, 1)) break;
    for (; size > 0 && request[0] != 'a'; size -= kBlock)
      if (!whole(fd, block, kBlock, request[0] == 'g')) break;
    if (request[0] == 'p' && !whole(fd, request, sizeof request, 1)) break;
  }
  close(fd);
  free(block);
  return NULL;
}

static void serve(int port) {
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port)};
  int on = 1, listener = socket(AF_INET, SOCK_STREAM, 0);
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(listener, (struct sockaddr*)&at, sizeof at) || listen(listener, 1024)) fail("listen");
  while (1) {
    int fd = accept(listener, NULL, NULL);
    pthread_t thread;
    if (fd >= 0 && pthread_create(&thread, NULL, serve_one, (void*)(long)fd) == 0) pthread_detach(thread);
  }
}

static struct sockaddr_in server;
static char what;
static long long until, bytes_each;
static int* times[kMost];
static long counted[kMost];

static int connected(void) {
  int on = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
  if (fd < 0 || connect(fd, (struct sockaddr*)&server, sizeof server)) fail("connect");
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return fd;
}

static void* client(void* at) {
  long n = (long)at;
  char request[16] = {what == 'o' ? 'a' : what};
  memcpy(request + 8, &bytes_each, sizeof bytes_each);
  int fd = what == 'o' ? -1 : connected();
  if (what == 'g' || what == 'p') {
    char* block = calloc(1, kBlock);
    if (!whole(fd, request, sizeof request, 1)) fail("send");
    for (long long left = bytes_each; left > 0; left -= kBlock)
      if (!whole(fd, block, kBlock, what == 'p')) fail("transfer");
    if (what == 'p' && !whole(fd, request, sizeof request, 0)) fail("answer");
    close(fd);
    return NULL;
  }
  for (long long begun = now(); begun < until && counted[n] < kTimes;) {
    if (what == 'o') fd = connected();
    if (!whole(fd, request, sizeof request, 1) || !whole(fd, request, sizeof request, 0)) fail("ask");
    if (what == 'o') close(fd);
    long long ended = now();
    times[n][counted[n]++] = ended - begun;
    begun = ended;
  }
  return NULL;
}

static int less(const void* a, const void* b) { return *(const int*)a - *(const int*)b; }

static void tell(int lists, long long took) {
  long all = 0;
  for (int n = 0; n < lists; n++) all += counted[n];
  int* sorted = malloc((all + 1) * sizeof *sorted);
  long at = 0;
  for (int n = 0; n < lists; n++)
    for (long i = 0; i < counted[n]; i++) sorted[at++] = times[n][i];
  if (all == 0) fail("nothing was answered");
  qsort(sorted, all, sizeof *sorted, less);
  printf("%.1f %.1f %.1f\n", all * 1e9 / took, sorted[all / 2] / 1e3, sorted[all - 1 - all / 100] / 1e3);
}

static void ask_names(const char* name, int ms) {
  unsigned char query[512] = {0, 1, 1, 0, 0, 1}, answer[512];
  size_t size = 12, length = strlen(name);
  query[size++] = length;
  memcpy(query + size, name, length);
  size += length;
  memcpy(query + size, "\0\0\1\0\1", 5);
  size += 5;
  int fd = socket(AF_INET, SOCK_DGRAM, 0);
  struct timeval limit = {2, 0};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  if (connect(fd, (struct sockaddr*)&server, sizeof server)) fail("connect");
  long long first = now(), begun = first;
  for (until = first + ms * 1000000LL; begun < until && counted[0] < kTimes;) {
    query[1]++;
    if (send(fd, query, size, 0) < 0 || recv(fd, answer, sizeof answer, 0) < 0 || answer[1] != query[1] || answer[7] == 0) fail("name");
    long long ended = now();
    times[0][counted[0]++] = ended - begun;
    begun = ended;
  }
  tell(1, begun - first);
}

int main(int argc, char** argv) {
  signal(SIGPIPE, SIG_IGN);
  if (argc == 3 && !strcmp(argv[1], "serve")) serve(atoi(argv[2]));
  if (argc < 5) return 2;
  what = argv[1][0];
  server.sin_family = AF_INET;
  if (inet_pton(AF_INET, argv[2], &server.sin_addr) != 1) return 2;
  for (int n = 0; n < kMost; n++) times[n] = malloc(kTimes * sizeof(int));
  if (what == 'n') {
    server.sin_port = htons(53);
    ask_names(argv[3], atoi(argv[4]));
    return 0;
  }
  server.sin_port = htons(atoi(argv[3]));
  int connections = atoi(argv[4]);
  pthread_t threads[kMost];
  long long first = now();
  until = first + atoll(argv[5]) * 1000000LL;
  bytes_each = atoll(argv[5]) * (1 << 20) / connections / kBlock * kBlock;
  for (long n = 0; n < connections; n++)
    if (pthread_create(&threads[n], NULL, client, (void*)n)) fail("thread");
  for (int n = 0; n < connections; n++) pthread_join(threads[n], NULL);
  long long took = now() - first;
  if (what == 'g' || what == 'p')
    printf("%.1f\n", bytes_each * connections / 1048576.0 * 1e9 / took);
  else
    tell(connections, took);
  return 0;
}
