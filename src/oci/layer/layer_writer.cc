#include "oci/layer/layer_writer.h"

#include <algorithm>
#include <string>
#include <thread>
#include <utility>

#include "oci/archive/chunk_queue.h"
#include "oci/archive/compress.h"
#include "oci/spec/media_type.h"
#include "oci/store/blob_writer.h"

namespace locald::oci {
namespace {

constexpr std::size_t kPieceBytes = 256u << 10;
constexpr std::size_t kPiecesBytes = 4u << 20;

}  // namespace

/// The other thread: what it was given, compressed, goes into the blob.
struct LayerWriter::Pipe {
  Pipe(BlobWriter writer, std::stop_token stop)
      : queue(kPiecesBytes, std::move(stop)), blob(std::move(writer)), gzip(blob), thread([this] {
          result = run();
          queue.leave();
        }) {}
  ~Pipe() {
    queue.close(Error(Errc::cancelled, "cancelled"));
    if (thread.joinable()) thread.join();
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;

  Result<void> run() {
    for (auto chunk = TRY(queue.read()); !chunk.empty(); chunk = TRY(queue.read()))
      TRY(gzip.write(chunk));
    return gzip.finish();
  }

  ChunkQueue queue;
  BlobWriter blob;
  GzipSink gzip;
  Result<void> result;  // the thread's, until it is joined
  std::thread thread;   // last: it uses all above
};

LayerWriter::LayerWriter() = default;
LayerWriter::~LayerWriter() = default;

Result<std::unique_ptr<LayerWriter>> LayerWriter::into(const ImageLayout& layout,
                                                       const std::stop_token& stop) {
  auto out = std::make_unique<LayerWriter>();
  out->pipe_ = std::make_unique<Pipe>(TRY(BlobWriter::create(layout)), stop);
  return out;
}

Error LayerWriter::broken() {
  pipe_->thread.join();
  if (!pipe_->result) return std::move(pipe_->result).error();
  return {Errc::cancelled, "cancelled"};
}

Result<void> LayerWriter::flush() {
  hash_.update(buffer_);
  bytes_ += buffer_.size();
  if (pipe_ && !buffer_.empty() && !pipe_->queue.push(buffer_)) return broken();
  buffer_.clear();
  return {};
}

Result<void> LayerWriter::write(std::span<const std::byte> chunk) {
  while (!chunk.empty()) {
    const std::size_t n = std::min(chunk.size(), kPieceBytes - buffer_.size());
    buffer_.insert(buffer_.end(), chunk.begin(), chunk.begin() + static_cast<std::ptrdiff_t>(n));
    chunk = chunk.subspan(n);
    if (buffer_.size() == kPieceBytes) TRY(flush());
  }
  return {};
}

Result<WrittenLayer> LayerWriter::finish() && {
  TRY(flush());
  WrittenLayer out{std::move(hash_).finish(), bytes_, std::nullopt};
  if (!pipe_) return out;
  pipe_->queue.close(std::nullopt);
  pipe_->thread.join();
  TRY(std::move(pipe_->result));
  out.blob = TRY(std::move(pipe_->blob).commit(std::string(kOciLayerGzip)));
  return out;
}

}  // namespace locald::oci
