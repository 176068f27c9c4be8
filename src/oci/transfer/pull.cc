#include "oci/transfer/pull.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <thread>
#include <utility>

#include "base/strings.h"
#include "oci/archive/chunk_queue.h"
#include "oci/transfer/image_origin.h"
#include "oci/transfer/resolve.h"

namespace locald::oci {
namespace {

using Phase = PullProgress::Phase;

constexpr std::size_t kQueueBytes = 4u << 20;  // a layer: enough to bridge either side's pauses
constexpr std::uint64_t kWorthResuming = 16u << 20;
constexpr auto kReportPause = std::chrono::milliseconds(50);

/// What a failed download left is kept for the next attempt only where that
/// saves something: wrong bytes are of no use, on a full disk none are, and few are fetched again
/// at once.
bool worth_keeping(Errc why, std::uint64_t bytes) {
  return why != Errc::corrupt && why != Errc::no_space && bytes >= kWorthResuming;
}

/// Serialises the progress of several threads, and thins it out.
class Reporter {
 public:
  Reporter(const std::function<void(const PullProgress&)>& sink, unsigned layers_total)
      : sink_(sink), layers_total_(layers_total) {}

  void tell(Phase phase, const std::string& layer, std::uint64_t done, std::uint64_t total,
            std::string note = {}) {
    if (!sink_) return;
    const std::lock_guard guard(mutex_);
    const auto now = std::chrono::steady_clock::now();
    auto& last = last_[{layer, phase}];
    const bool counting = phase == Phase::downloading || phase == Phase::applying;
    if (counting && now - last < kReportPause && done != total) return;
    last = now;
    if (phase == Phase::layer_done) ++layers_done_;
    sink_({phase, layer, done, total, layers_done_, layers_total_, std::move(note)});
  }

 private:
  const std::function<void(const PullProgress&)>& sink_;
  std::mutex mutex_;
  std::map<std::pair<std::string, Phase>, std::chrono::steady_clock::time_point> last_;
  unsigned layers_done_ = 0;
  unsigned layers_total_;
};

/// One blob to fetch and, for the first with its diff id, to apply.
struct Task {
  Descriptor blob;
  LayerKey layer_key;
  std::size_t layer;  // its first place in the manifest
  bool applies;
};

/// Fetches and applies the layers of one image on a few threads.
class LayerPull {
 public:
  LayerPull(const ResolvedImage& image, ImageStore& store, LayerStore& layers, LazyOrigin& origin,
            const PullOptions& options, std::stop_source& stop, Reporter& reporter,
            PullResult& result)
      : image_(image),
        store_(store),
        layers_(layers),
        origin_(origin),
        options_(options),
        stop_(stop),
        reporter_(reporter),
        result_(result) {
    keys_ = layer_keys(image.config.diff_ids);
    std::set<Digest> blobs;
    std::set<Digest> diffs;
    for (std::size_t i = 0; i < image.manifest.layers.size(); ++i) {
      const Digest& diff = image.config.diff_ids[i];
      const bool applies = diffs.insert(diff).second;
      if (blobs.insert(image.manifest.layers[i].digest).second || applies)
        tasks_.push_back({image.manifest.layers[i], keys_[i], i, applies});
    }
  }

  Result<void> run() {
    // From the bottom up: a layer may wait for those below it (LowerLayers::wait).
    const std::size_t count =
        std::min<std::size_t>(std::max(options_.parallel_layers, 1u), tasks_.size());
    {
      std::vector<std::jthread> threads;
      for (std::size_t i = 0; i < count; ++i) threads.emplace_back([this] { work(); });
    }
    if (error_) return std::move(*error_);
    return {};
  }

 private:
  void work() {
    while (!stop_.stop_requested()) {
      const std::size_t next = next_.fetch_add(1);
      if (next >= tasks_.size()) return;
      const Task& task = tasks_[next];
      auto done = run_task(task);
      if (!done) return fail(std::move(done).error(), task);
      reporter_.tell(Phase::layer_done, task.blob.digest.short_hex(), task.blob.size_bytes,
                     task.blob.size_bytes);
      const std::lock_guard guard(mutex_);
      if (task.applies) committed_.insert(task.layer_key.diff_id);
      changed_.notify_all();
    }
  }

  /// The first failure that is not a consequence of another is the one to tell.
  void fail(Error error, const Task& task) {
    const std::string where = "layer " + std::to_string(task.layer + 1) + " of " +
                              std::to_string(image_.manifest.layers.size()) + " (" +
                              task.blob.digest.short_hex() + ")";
    {
      const std::lock_guard guard(mutex_);
      if (!error_ || (error_->code() == Errc::cancelled && error.code() != Errc::cancelled))
        error_ = error.code() == Errc::cancelled ? std::move(error)
                                                 : std::move(error).with_context(where);
    }
    stop_.request_stop();
    changed_.notify_all();
  }

  Result<void> run_task(const Task& task) {
    const bool apply = task.applies && !layers_.has(task.layer_key);
    ImageLayout& layout = store_.layout();
    if (layout.has_blob(task.blob)) {
      if (!apply) return {};
      const auto source = TRY(layout.open_verified(task.blob));
      auto applied = apply_from(task, *source);
      // A damaged blob is fetched again; with a sound one the image itself is wrong.
      if (applied || applied.error().code() != Errc::corrupt || blob_is_sound(task.blob))
        return applied;
      layout.drop_blob(task.blob.digest);
    }
    BlobIngest in = TRY(layout.ingest(task.blob, stop_.get_token()));
    if (in.already_there()) return run_task(task);
    const bool resumed = in.offset() > 0;
    auto done = apply ? download_and_apply(task, in) : download(task, in, nullptr);
    // What an earlier attempt left was not this blob's beginning, and is thrown away by now.
    if (!done && resumed && done.error().code() == Errc::corrupt && !layout.has_blob(task.blob))
      return run_task(task);
    return done;
  }

  Result<void> download_and_apply(const Task& task, BlobIngest& in) {
    ChunkQueue queue(kQueueBytes, stop_.get_token());
    Result<void> downloaded;
    std::jthread downloader([&] {
      downloaded = download(task, in, &queue);
      queue.close(downloaded ? std::nullopt : std::optional<Error>(downloaded.error()));
    });
    auto applied = apply_from(task, queue);
    // After damage the download goes on to its end: its digest tells whose fault it is. After
    // success too (another process committed the layer first), for the blob is still wanted.
    if (!applied && applied.error().code() != Errc::corrupt) stop_.request_stop();
    queue.leave();
    downloader.join();
    if (!downloaded && (applied || downloaded.error().code() != Errc::cancelled)) return downloaded;
    return applied;
  }

  /// Into the store, and along the way into `queue`, if there is one.
  Result<void> download(const Task& task, BlobIngest& in, ChunkQueue* queue) {
    auto run = [&]() -> Result<void> {
      const std::string layer = task.blob.digest.short_hex();
      const std::uint64_t total = task.blob.size_bytes;
      bool wanted = queue != nullptr;
      reporter_.tell(Phase::downloading, layer, in.offset(), total);
      if (wanted && in.offset() > 0) {
        const auto prefix = TRY(in.prefix());
        for (auto chunk = TRY(prefix->read()); wanted && !chunk.empty();
             chunk = TRY(prefix->read()))
          wanted = queue->push(chunk);
      }
      if (in.offset() < total) {
        ImageOrigin* origin = TRY(origin_.get());
        const auto source = TRY(origin->blob(task.blob, in.offset()));
        for (auto chunk = TRY(source->read()); !chunk.empty(); chunk = TRY(source->read())) {
          if (stop_.stop_requested()) return Error(Errc::cancelled, "cancelled");
          TRY(in.write(chunk));
          if (wanted) wanted = queue->push(chunk);
          downloaded_bytes_ += chunk.size();
          reporter_.tell(Phase::downloading, layer, in.offset(), total);
        }
      }
      return std::move(in).commit();
    };
    auto done = run();
    if (!done && !worth_keeping(done.error().code(), in.offset())) in.discard();
    return done;
  }

  Result<void> apply_from(const Task& task, ByteSource& source) {
    ApplyOptions apply = options_.apply;
    apply.stop = stop_.get_token();
    const std::string layer = task.blob.digest.short_hex();
    apply.progress = [this, &layer](std::uint64_t bytes) {
      reporter_.tell(Phase::applying, layer, bytes, 0);
    };
    LowerLayers lowers;
    lowers.wait = [this, &task] { return wait_below(task); };
    AppliedLayer applied =
        TRY(layers_.add(task.layer_key, source, task.blob.media_type, lowers, apply));
    const std::lock_guard guard(mutex_);
    ++result_.applied_layers;
    result_.skipped_devices += applied.skipped_devices;
    for (std::string& warning : applied.warnings) result_.warnings.push_back(std::move(warning));
    return {};
  }

  /// The trees below a layer, nearest first, when all of them are committed.
  Result<std::vector<std::string>> wait_below(const Task& task) {
    std::unique_lock lock(mutex_);
    const auto& ids = image_.config.diff_ids;
    const bool ready = changed_.wait(lock, stop_.get_token(), [&] {
      return std::all_of(ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(task.layer),
                         [this](const Digest& id) { return committed_.contains(id); });
    });
    if (!ready) return Error(Errc::cancelled, "cancelled");
    std::vector<std::string> paths;
    for (std::size_t i = task.layer; i > 0; --i) paths.push_back(layers_.path(keys_[i - 1]));
    return paths;
  }

  bool blob_is_sound(const Descriptor& blob) {
    auto source = store_.layout().open_verified(blob);
    if (!source) return false;
    while (true) {
      auto chunk = (*source)->read();
      if (!chunk) return false;
      if (chunk->empty()) return true;
    }
  }

  const ResolvedImage& image_;
  ImageStore& store_;
  LayerStore& layers_;
  LazyOrigin& origin_;
  const PullOptions& options_;
  std::stop_source& stop_;
  Reporter& reporter_;
  PullResult& result_;
  std::vector<LayerKey> keys_;  // base first
  std::vector<Task> tasks_;
  std::atomic<std::size_t> next_{0};
  std::atomic<std::uint64_t> downloaded_bytes_{0};
  std::mutex mutex_;  // of all below, and of result_
  std::condition_variable_any changed_;
  std::set<Digest> committed_;
  std::optional<Error> error_;

 public:
  std::uint64_t downloaded_bytes() const { return downloaded_bytes_; }
};

bool complete(const StoredImage& image, const LayerStore& layers) {
  const auto keys = layer_keys(image.diff_ids);
  return std::all_of(keys.begin(), keys.end(),
                     [&layers](const LayerKey& key) { return layers.has(key); });
}

Result<PullResult> pull_image(const ImageReference& reference, ImageStore& store,
                              LayerStore& layers, const PullOptions& options) {
  auto present = store.find(reference);
  if (options.policy != PullPolicy::always && present && complete(*present, layers))
    return PullResult{std::move(*present)};
  // A damaged document does not end the pull: it is fetched again.
  if (!present && options.policy == PullPolicy::never) return std::move(present).error();

  std::stop_source stop;
  const std::stop_callback chain(options.stop, [&stop] { stop.request_stop(); });
  Reporter early(options.progress, 0);
  RegistryClient::Options client;
  client.stop = stop.get_token();
  client.note = [&early](const std::string& note) { early.tell(Phase::waiting, "", 0, 0, note); };
  if (options.credentials && reference.is_registry())
    client.login = options.credentials(reference.registry);
  client.login_hint = options.login_hint;
  LazyOrigin origin(reference, client, options.policy != PullPolicy::never);

  const UniqueFd lease = TRY(store.layout().lease());
  const std::string stamp =
      source_stamp(reference);  // before reading: a change during it is seen next time
  const bool from_store = present && options.policy != PullPolicy::always;
  if (!from_store)
    early.tell(Phase::resolving, "", 0, 0,
               reference.is_registry() ? reference.registry : reference.path);
  const ResolvedImage image = from_store ? TRY(resolve_stored(*present, store.layout()))
                                         : TRY(resolve(*TRY(origin.get()), store.layout()));

  PullResult result{present ? std::move(*present)
                            : StoredImage{reference.name(),
                                          image.manifest_descriptor.digest,
                                          image.manifest.config.digest,
                                          image.manifest,
                                          image.config,
                                          {},
                                          0,
                                          {},
                                          {}}};
  Reporter reporter(options.progress, static_cast<unsigned>(image.manifest.layers.size()));
  LayerPull layer_pull(image, store, layers, origin, options, stop, reporter, result);
  TRY(layer_pull.run());
  result.downloaded_bytes = image.downloaded_bytes + layer_pull.downloaded_bytes();
  result.contacted = origin.used();
  if (options.stop.stop_requested()) return Error(Errc::cancelled, "cancelled");

  if (!from_store) {
    TRY(store.layout().add_document(image.manifest.config, image.config_bytes));
    TRY(store.layout().add_document(image.manifest_descriptor, image.manifest_bytes));
    TRY(store.tag(image.manifest_descriptor.digest, reference, stamp, image.index_digest));
  }
  result.image = TRY(store.find(reference));
  reporter.tell(Phase::finished, "", 0, 0);
  return result;
}

}  // namespace

std::string_view to_string(PullProgress::Phase phase) noexcept {
  switch (phase) {
    case Phase::resolving:
      return "resolving";
    case Phase::waiting:
      return "waiting";
    case Phase::downloading:
      return "downloading";
    case Phase::applying:
      return "applying";
    case Phase::layer_done:
      return "layer done";
    case Phase::finished:
      return "finished";
  }
  return "";
}

Result<PullResult> pull(const ImageReference& reference, ImageStore& store, LayerStore& layers,
                        const PullOptions& options) {
  auto result = pull_image(reference, store, layers, options);
  if (!result && result.error().code() == Errc::no_space)
    result = store.layout().no_space(result.error().message());
  return std::move(result).context("pull " + reference.familiar());
}

}  // namespace locald::oci
