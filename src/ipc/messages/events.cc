#include "ipc/messages/events.h"

namespace locald::ipc {

const Fields& ProgressEvent::fields() {
  using R = ProgressEvent;
  static const Fields table =
      FieldsOf<R>("event progress")
          .always("event", &R::event, "progress")
          .field("service", &R::service, "whose; empty: of none")
          .always("phase", &R::phase, "pull, unpack, write, analyze, detect, restore, build, …")
          .always("item", &R::item, "a layer, a file, a step in words")
          .always("done", &R::done, "of \"total\"; bytes, mostly")
          .always("total", &R::total, "0: not known");
  return table;
}

const Fields& NoticeEvent::fields() {
  using R = NoticeEvent;
  static const Fields table = FieldsOf<R>("event notice")
                                  .always("event", &R::event, "notice")
                                  .always("service", &R::service, "whose; empty: of none")
                                  .always("text", &R::text, "a sentence for people");
  return table;
}

const Fields& StateEvent::fields() {
  using R = StateEvent;
  static const Fields table = FieldsOf<R>("event state")
                                  .always("event", &R::event, "state")
                                  .always("service", &R::service, "as it is now");
  return table;
}

}  // namespace locald::ipc
