#pragma once
#include "project/compose/shape.h"

/// Of what the tables of shapes are made: for shape.cc and shape_service.cc.
namespace locald::project::compose {

template <std::size_t N>
constexpr Shape table(const Key (&keys)[N], unsigned other_kinds = 0) {
  Shape out;
  out.kinds = kMap | other_kinds;
  out.keys = keys;
  out.key_count = N;
  return out;
}

constexpr Shape with(Shape shape, Form form) {
  shape.form = form;
  return shape;
}
constexpr Shape with(Shape shape, Merge merge) {
  shape.merge = merge;
  return shape;
}
constexpr Shape with(Shape shape, Index index) {
  shape.index = index;
  return shape;
}
constexpr Shape requiring(Shape shape, std::string_view keys) {
  shape.required = keys;
  return shape;
}

inline constexpr Shape kTextShape = {.as = As::text};
inline constexpr Shape kAnyTextShape = {.kinds = kText | kNumber, .as = As::text};
inline constexpr Shape kFlagShape = {.kinds = kBool | kText, .as = As::flag};
inline constexpr Shape kWholeShape = {.kinds = kWhole | kText, .as = As::whole};
inline constexpr Shape kNumberShape = {.kinds = kNumber | kText, .as = As::whole};
inline constexpr Shape kRealShape = {.kinds = kNumber | kText, .as = As::real};
inline constexpr Shape kDurationShape = {.as = As::duration};
inline constexpr Shape kBytesShape = {.kinds = kNumber | kText, .as = As::bytes};

/// A list of texts, no two of them equal.
inline constexpr Shape kTextsShape = {
    .kinds = kList, .as = As::texts, .unique = true, .items = &kTextShape};
inline constexpr Shape kRepeatedTextsShape = {
    .kinds = kList, .as = As::texts, .items = &kTextShape};
inline constexpr Shape kOneOrMoreShape = {.kinds = kList | kText,
                                          .form = Form::one_text,
                                          .as = As::texts,
                                          .unique = true,
                                          .items = &kTextShape};

/// Members that are texts, or a list of KEY=VALUE.
inline constexpr Shape kPairValueShape = {.kinds = kText | kNumber | kBool | kNull};
inline constexpr Shape kPairsShape = {.kinds = kMap | kList,
                                      .as = As::pairs,
                                      .unique = true,
                                      .names = Names::any,
                                      .values = &kPairValueShape,
                                      .items = &kTextShape};
constexpr Shape merged_pairs(As as) {
  Shape out = kPairsShape;
  out.merge = Merge::as_list;
  out.index = Index::word;
  out.as = as;
  return out;
}
inline constexpr Shape kLabelsShape = merged_pairs(As::pairs);
inline constexpr Shape kEnvironmentShape = merged_pairs(As::optional_pairs);

/// Members that are texts and nothing else: options of a driver.
inline constexpr Shape kOptionShape = {.kinds = kText | kNumber | kNull};
inline constexpr Shape kOptionsShape = {
    .kinds = kMap, .as = As::pairs, .names = Names::any, .values = &kOptionShape};

inline constexpr Key kExternalKeys[] = {{"name", &kTextShape}};
inline constexpr Shape kExternalTable = table(kExternalKeys);
constexpr Shape external_shape() {
  Shape out = kExternalTable;
  out.kinds |= kBool | kText;
  out.as = As::flag;
  return out;
}
inline constexpr Shape kExternalShape = external_shape();

// Parts of a service; shape_build.cc and shape_deploy.cc have them.
extern const Shape kBuildShape, kCommandShape, kExtraHostsShape, kUlimitsShape, kSecretMountsShape,
    kConfigMountsShape, kDeployShape, kDevelopShape, kGpusShape, kHooksShape, kPreStartsShape;

}  // namespace locald::project::compose
