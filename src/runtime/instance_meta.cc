#include "runtime/instance_meta.h"

namespace locald::runtime {
namespace {

struct Record {
  bool exec = false, container = false;
  InstanceMeta meta;

  static const Fields& fields() {
    static const Fields table = FieldsOf<Record>("instance")
                                    .field("exec", &Record::exec, "")
                                    .field("container", &Record::container, "")
                                    .flat(&Record::meta);
    return table;
  }
};

}  // namespace

const Fields& InstanceMeta::fields() {
  using M = InstanceMeta;
  static const Fields table = FieldsOf<M>("instance")
                                  .field("project", &M::project, "")
                                  .field("service", &M::service, "")
                                  .field("life", &M::life, "")
                                  .field("restarts", &M::restarts, "")
                                  .field("configuration", &M::configuration, "")
                                  .field("image", &M::image, "")
                                  .field("rm", &M::rm, "")
                                  .field("name", &M::name, "")
                                  .field("writable", &M::writable, "")
                                  .field("network", &M::network, "")
                                  .field("range", &M::range, "")
                                  .field("ports", &M::ports, "")
                                  .field("build", &M::app, "");
  return table;
}

std::string InstanceMeta::to_text() const {
  if (kind == Kind::unknown) return {};
  return encode_text(Record{kind == Kind::exec, kind == Kind::container, *this}).str();
}

InstanceMeta InstanceMeta::from_text(const std::string& text) {
  const auto json = Json::parse(text);
  if (!json) return {};
  auto record = decode<Record>(*json, Reading::tolerant);
  if (!record) return {};
  InstanceMeta& out = record->meta;
  out.kind = record->container      ? Kind::container
             : record->exec         ? Kind::exec
             : !out.app.empty()     ? Kind::build
             : !out.project.empty() ? Kind::service
                                    : Kind::unknown;
  return std::move(out);
}

}  // namespace locald::runtime
