#pragma once
#include <cstddef>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <type_traits>
#include <utility>

#include "base/loop/event_loop.h"
#include "base/sys/resources.h"

namespace locald {

/// Work over 1 ms, off the loop's thread (R-LOOP): a pull, a worker, the start of a
/// service. A job is written as plain blocking code that looks at its stop
/// token; its result comes back on the loop.
///
///     auto job = pool.run<Result<ServiceHandle>>("start web",
///         [=](std::stop_token stop) { return runtime.run_container("web", *source, env, stop); },
///         [this](Result<ServiceHandle> started) { … });   // on the loop's thread
///     job.cancel();   // asks; `done` is still called, once, with what the work returned
///
/// At most `at_once` run at once, others wait in order of arrival. A job for which there is not
/// enough memory, or that cannot make a thread, ends with an error (or, where T is no Result, with
/// an empty T). Where no further thread can be made for jobs, they wait for those that there are.
class JobPool {
 public:
  JobPool(EventLoop& loop, std::size_t at_once);
  /// Cancels all jobs, waits for those that run, and calls no `done` any more.
  ~JobPool();
  JobPool(const JobPool&) = delete;
  JobPool& operator=(const JobPool&) = delete;

  /// Owner's end of a job. Dropping it changes nothing: the job goes on.
  class Job {
   public:
    Job() = default;
    explicit Job(std::stop_source stop) : stop_(std::move(stop)) {}
    void cancel() { stop_.request_stop(); }

   private:
    std::stop_source stop_{std::nostopstate};
  };

  /// For a job that waits long, or whose number something else bounds: while one of these lives,
  /// the job of the thread that made it is not counted, and others run in its place. Ends when it
  /// may count again, before all that have not begun; at once if it has been cancelled. In a thread
  /// outside of a job, and within another one, it does nothing.
  class UncountedScope {
   public:
    UncountedScope();
    ~UncountedScope();
    UncountedScope(const UncountedScope&) = delete;
    UncountedScope& operator=(const UncountedScope&) = delete;

   private:
    bool counted_;
  };

  template <typename T>
  Job run(std::string name, std::function<T(std::stop_token)> work, std::function<void(T)> done) {
    return submit(std::move(name),
                  [work = std::move(work), done = std::move(done)](std::stop_token stop) {
                    auto result = std::make_shared<T>(guarded<T>(work, std::move(stop)));
                    return std::function<void()>([result, done] { done(std::move(*result)); });
                  });
  }

  std::size_t unfinished() const;  ///< waiting, running and aside; thread-safe

 private:
  template <typename T>
  static T guarded(const std::function<T(std::stop_token)>& work, std::stop_token stop) {
    struct Outcome {
      T value;
      Outcome(T done) : value(std::move(done)) {}                // NOLINT: implicit on purpose
      Outcome(Error error) : value(failed(std::move(error))) {}  // NOLINT
      static T failed(Error error) {
        if constexpr (std::is_constructible_v<T, Error>)
          return T(std::move(error));
        else
          return T();
      }
    };
    return within_resources([&] { return Outcome(work(std::move(stop))); }).value;
  }

  using Work = std::function<std::function<void()>(std::stop_token)>;
  Job submit(std::string name, Work work);
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace locald
