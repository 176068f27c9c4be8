#pragma once
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "project/init/part.h"

namespace locald::project::init {

/// How a store is run and reached. Texts hold NAME for the service, DB for the database.
struct StoreService {
  Store store;
  std::string_view name, image;
  int port;
  std::vector<std::pair<std::string_view, std::string_view>> env;
  std::string_view data;                ///< the folder that a volume keeps
  std::vector<std::string_view> check;  ///< a command inside, which ends with 0 when it is ready
  std::string_view start_period;        ///< where the usual one is too short; empty: it is not
  std::string_view variable, url;       ///< that the app finds it by
};

const StoreService& service_of(Store store);

}  // namespace locald::project::init
