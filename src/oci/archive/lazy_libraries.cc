// libcurl and libarchive, loaded when the first of their functions is called.
//
// The two bring 35 more libraries with them (TLS twice, Kerberos, LDAP, ICU…). Linked in the usual
// way they cost every start of the server and of each worker 5 ms (15 on a busy machine) and 2 MiB,
// also where no image is pulled; a `container run` was 1.7 times a `runc run`, and is 1.3 times
// without them. So the program is not linked with them: the functions that we call are defined here
// and pass the call on. To use one more of them, add its line (else the link fails).
#include <archive.h>
#include <archive_entry.h>
#include <curl/curl.h>
#include <dlfcn.h>
#include <unistd.h>

#include <cstdarg>
#include <cstdio>

namespace {

/// As when a linked library is missing: the reason on stderr, and the end.
[[noreturn]] void missing() {
  std::fprintf(stderr, "locald-server: %s; apt install libcurl4 libarchive13\n", ::dlerror());
  ::_exit(127);
}

void* load(const char* name) {
  void* handle = ::dlopen(name, RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) missing();
  return handle;
}

struct Curl {
  static void* handle() {
    static void* const kHandle = load("libcurl.so.4");
    return kHandle;
  }
};

struct Archive {
  static void* handle() {
    static void* const kHandle = load("libarchive.so.13");
    return kHandle;
  }
};

template <typename Library, typename Function>
Function* find(const char* name) {
  void* symbol = ::dlsym(Library::handle(), name);
  if (symbol == nullptr) missing();
  return reinterpret_cast<Function*>(symbol);
}

/// Of a function whose parameter is const in newer versions of the library only.
template <typename Function>
struct FirstParameter;
template <typename Result, typename First, typename... Rest>
struct FirstParameter<Result(First, Rest...)> {
  using Type = First;
};

}  // namespace

// The declarations are the libraries' own headers': a wrong signature here does not compile.
// Hidden: the libraries must not find these when they call themselves.
// NOLINTBEGIN(bugprone-macro-parentheses)
#define PASS_ON(library, result, name, parameters, arguments)                \
  extern "C" __attribute__((visibility("hidden"))) result(name) parameters { \
    static const auto kReal = find<library, decltype(name)>(#name);          \
    return kReal arguments;                                                  \
  }
// NOLINTEND(bugprone-macro-parentheses)

PASS_ON(Curl, CURLcode, curl_global_init, (long flags), (flags))
PASS_ON(Curl, void, curl_free, (void* p), (p))
PASS_ON(Curl, time_t, curl_getdate, (const char* p, const time_t* unused), (p, unused))
PASS_ON(Curl, curl_slist*, curl_slist_append, (curl_slist * list, const char* text), (list, text))
PASS_ON(Curl, void, curl_slist_free_all, (curl_slist * list), (list))

PASS_ON(Curl, CURL*, curl_easy_init, (), ())
PASS_ON(Curl, void, curl_easy_cleanup, (CURL * easy), (easy))
PASS_ON(Curl, void, curl_easy_reset, (CURL * easy), (easy))
PASS_ON(Curl, CURLcode, curl_easy_pause, (CURL * easy, int mask), (easy, mask))
PASS_ON(Curl, const char*, curl_easy_strerror, (CURLcode code), (code))
PASS_ON(Curl, char*, curl_easy_escape, (CURL * easy, const char* text, int n), (easy, text, n))

PASS_ON(Curl, CURLM*, curl_multi_init, (), ())
PASS_ON(Curl, CURLMcode, curl_multi_cleanup, (CURLM * multi), (multi))
PASS_ON(Curl, CURLMcode, curl_multi_add_handle, (CURLM * multi, CURL* easy), (multi, easy))
PASS_ON(Curl, CURLMcode, curl_multi_remove_handle, (CURLM * multi, CURL* easy), (multi, easy))
PASS_ON(Curl, CURLMcode, curl_multi_perform, (CURLM * multi, int* running), (multi, running))
PASS_ON(Curl, CURLMsg*, curl_multi_info_read, (CURLM * multi, int* left), (multi, left))
PASS_ON(Curl, CURLMcode, curl_multi_wakeup, (CURLM * multi), (multi))
PASS_ON(Curl, CURLMcode, curl_multi_poll,
        (CURLM * multi, curl_waitfd* fds, unsigned n, int timeout_ms, int* ready),
        (multi, fds, n, timeout_ms, ready))

PASS_ON(Curl, CURLU*, curl_url, (), ())
PASS_ON(Curl, void, curl_url_cleanup, (CURLU * url), (url))
PASS_ON(Curl, CURLUcode, curl_url_get,
        (FirstParameter<decltype(curl_url_get)>::Type url, CURLUPart part, char** text,
         unsigned flags),
        (url, part, text, flags))
PASS_ON(Curl, CURLUcode, curl_url_set,
        (CURLU * url, CURLUPart part, const char* text, unsigned flags), (url, part, text, flags))
PASS_ON(Curl, const char*, curl_url_strerror, (CURLUcode code), (code))

// What follows the option is a long, a pointer or a curl_off_t: one word in each case.
static_assert(sizeof(long) == sizeof(void*) && sizeof(curl_off_t) == sizeof(void*));
#undef curl_easy_setopt
#undef curl_easy_getinfo
#ifdef __clang__
#pragma clang diagnostic ignored "-Wvarargs"  // the enums are as wide as what they promote to
#endif

extern "C" __attribute__((visibility("hidden"))) CURLcode curl_easy_setopt(CURL* easy,
                                                                           CURLoption option, ...) {
  static const auto kReal = find<Curl, decltype(curl_easy_setopt)>("curl_easy_setopt");
  va_list rest;
  va_start(rest, option);
  void* const word = va_arg(rest, void*);
  va_end(rest);
  return kReal(easy, option, word);
}

extern "C" __attribute__((visibility("hidden"))) CURLcode curl_easy_getinfo(CURL* easy,
                                                                            CURLINFO what, ...) {
  static const auto kReal = find<Curl, decltype(curl_easy_getinfo)>("curl_easy_getinfo");
  va_list rest;
  va_start(rest, what);
  void* const word = va_arg(rest, void*);
  va_end(rest);
  return kReal(easy, what, word);
}

PASS_ON(Archive, archive*, archive_read_new, (), ())
PASS_ON(Archive, int, archive_read_free, (archive * a), (a))
PASS_ON(Archive, int, archive_read_support_format_tar, (archive * a), (a))
PASS_ON(Archive, int, archive_read_support_format_empty, (archive * a), (a))
PASS_ON(Archive, int, archive_read_open,
        (archive * a, void* data, archive_open_callback* open, archive_read_callback* read,
         archive_close_callback* close),
        (a, data, open, read, close))
PASS_ON(Archive, int, archive_read_next_header, (archive * a, archive_entry** entry), (a, entry))
PASS_ON(Archive, int, archive_read_data_block,
        (archive * a, const void** data, size_t* size, la_int64_t* offset), (a, data, size, offset))
PASS_ON(Archive, const char*, archive_error_string, (archive * a), (a))

PASS_ON(Archive, mode_t, archive_entry_filetype, (archive_entry * e), (e))
PASS_ON(Archive, la_int64_t, archive_entry_uid, (archive_entry * e), (e))
PASS_ON(Archive, la_int64_t, archive_entry_gid, (archive_entry * e), (e))
PASS_ON(Archive, mode_t, archive_entry_perm, (archive_entry * e), (e))
PASS_ON(Archive, la_int64_t, archive_entry_size, (archive_entry * e), (e))
PASS_ON(Archive, time_t, archive_entry_mtime, (archive_entry * e), (e))
PASS_ON(Archive, long, archive_entry_mtime_nsec, (archive_entry * e), (e))
PASS_ON(Archive, dev_t, archive_entry_rdevmajor, (archive_entry * e), (e))
PASS_ON(Archive, dev_t, archive_entry_rdevminor, (archive_entry * e), (e))
PASS_ON(Archive, const char*, archive_entry_pathname, (archive_entry * e), (e))
PASS_ON(Archive, const char*, archive_entry_hardlink, (archive_entry * e), (e))
PASS_ON(Archive, const char*, archive_entry_symlink, (archive_entry * e), (e))
PASS_ON(Archive, int, archive_entry_xattr_reset, (archive_entry * e), (e))
PASS_ON(Archive, int, archive_entry_xattr_next,
        (archive_entry * e, const char** name, const void** value, size_t* size),
        (e, name, value, size))
