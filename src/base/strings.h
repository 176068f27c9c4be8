#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace locald {

std::vector<std::string> split(std::string_view text, char separator);  ///< keeps empty parts
/// The length of the UTF-8 sequence that `text` begins with, and its character in `rune`; 0 where
/// there is none (an empty text, a lone byte, an overlong form, a surrogate).
std::size_t utf8_sequence(std::string_view text, char32_t& rune) noexcept;
std::string join(const std::vector<std::string>& parts, std::string_view separator);
std::string_view trim(std::string_view text);  ///< blanks, tabs, CR and LF at both ends
std::string to_lower(std::string_view text);   ///< ASCII only
std::string to_hex(const void* data, std::size_t size);

/// A decimal number and nothing else (no sign, no blanks); nullopt otherwise or on overflow.
std::optional<std::uint64_t> parse_u64(std::string_view text);

/// FNV-1a of 64 bits: for names and numbers that stay, never against an attacker.
std::uint64_t fnv1a(std::string_view text) noexcept;

/// The candidate that a typo most likely meant: edit distance (with
/// transpositions) of at most 1/3 of the length; nullopt if none is near.
std::optional<std::string> did_you_mean(std::string_view word,
                                        const std::vector<std::string>& candidates);

/// `bytes` random bytes from the kernel, in hex. For nonces and temporary names.
std::string random_hex(std::size_t bytes);

/// "12 B", "3.4 MB": powers of 1000, as registries and disks count.
std::string human_bytes(std::uint64_t bytes);

/// Valid UTF-8: each byte that belongs to none becomes U+FFFD. For JSON that others read.
std::string to_utf8(std::string_view bytes);

/// `text` if it has at most `max` bytes; else its beginning and its end, whole characters, with "…"
/// between.
std::string shortened(std::string_view text, std::size_t max);

/// Quotes for a POSIX shell where needed: what a person may paste.
std::string shell_quote(std::string_view word);

/// Without ".", ".." and doubled slashes, as text: symlinks are looked at when it is used.
std::string tidy_path(const std::string& absolute);

}  // namespace locald
