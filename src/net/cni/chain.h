#pragma once
#include <string>

#include "base/json/json.h"
#include "base/result.h"
#include "net/cni/conflist.h"
#include "net/cni/plugin.h"

/// The plugins of one configuration, called in their order. Spec: CNI 1.0.0, sections 3 and 4.
namespace locald::net {

/// A container's place in a network of CNI plugins.
struct CniPlace {
  Conflist list;
  std::string container;  ///< CNI_CONTAINERID: of this attachment alone
  std::string link;       ///< CNI_IFNAME
  int netns = -1;         ///< borrowed; -1: it is gone
  Json capabilities;      ///< an object: what each plugin gets that says that it takes it
};

/// Connects. On error nothing is left: the plugins have been told to delete what they made.
/// @return the last plugin's result
Result<Json> cni_add(const CniWorld& world, const CniPlace& place);

/// Whether all is as `result` says. Fine where the configuration or its version does not want it.
Result<void> cni_check(const CniWorld& world, const CniPlace& place, const Json& result);

/// Disconnects; all plugins are called, whatever one of them says.
/// @param result  of cni_add(); null: not known
/// @return the first error
Result<void> cni_delete(const CniWorld& world, const CniPlace& place, const Json& result);

}  // namespace locald::net
