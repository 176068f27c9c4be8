#pragma once
#include "project/compose/report.h"

namespace locald::project::compose {

/// One service and what it is in.
struct CheckedService {
  const std::string& name;
  const Node& service;
  const Node& model;
  const Node& disabled;
  Report& report;
};

/// Whether an enabled service goes together with itself and the rest of its model.
void check_service(const CheckedService& of);

/// Values of a service that are never right, enabled or not.
void check_values(const std::string& path, const Node& service, Report& report);

}  // namespace locald::project::compose
