#pragma once
#include <cstddef>
#include <string>
#include <unordered_map>
#include <utility>

#include "base/node/node.h"

namespace locald::project::compose {

/// A table that is filled by name: as Node::set does, in linear time where there are many members.
class TableBuilder {
 public:
  /// Starts with the members of `table`; what is not a table has none.
  explicit TableBuilder(Node table = Node::table()) : node_(std::move(table)) {
    if (!node_.is_table()) node_ = Node::table();
    for (const auto& [name, member] : node_.as_table()) index_.emplace(name, index_.size());
  }
  Node* find(const std::string& name) {
    const auto it = index_.find(name);
    return it == index_.end() ? nullptr : &(*node_.members())[it->second].second;
  }
  void set(std::string name, Node value) {
    if (Node* const mine = find(name)) {
      *mine = std::move(value);
      return;
    }
    index_.emplace(name, index_.size());
    node_.members()->emplace_back(std::move(name), std::move(value));
  }
  Node take() && { return std::move(node_); }

 private:
  Node node_;
  std::unordered_map<std::string, std::size_t> index_;
};

}  // namespace locald::project::compose
