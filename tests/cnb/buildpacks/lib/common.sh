# Part of each of these buildpacks: scripts/cnb-builder copies it into their lib folders.

# marker NAME…: ends detect with "not mine" unless the app has one of these files.
marker() {
  local f
  for f; do [[ ! -e $f ]] || return 0; done
  exit 100
}

# The text as a TOML string, or several as an array.
toml() { local s=${1//\\/\\\\}; s=${s//\"/\\\"}; s=${s//$'\n'/\\n}; printf '"%s"' "${s//$'\t'/\\t}"; }
toml_array() { local s separator=; printf '['; for s; do printf '%s%s' "$separator" "$(toml "$s")"; separator=', '; done; printf ']'; }

# layer NAME LAUNCH BUILD CACHE [METADATA]: writes NAME.toml.
layer() { printf '[types]\nlaunch = %s\nbuild = %s\ncache = %s\n%s\n' "$2" "$3" "$4" "${5:+[metadata]$'\n'$5}" >"$CNB_LAYERS_DIR/$1.toml"; }

# What a build finds in its layers folder, before it changes anything: one line for each path, sorted by bytes, and the text of
# each .toml. Comparable: no times, no inodes; names as printf %q has them.
dump_restored() {
  local type mode target path sum
  (
    cd "${1:-$CNB_LAYERS_DIR}"
    LC_ALL=C find . -mindepth 1 -printf '%P\0' | LC_ALL=C sort -z | while IFS= read -rd '' path; do
      IFS=$'\t' read -r type mode target < <(LC_ALL=C find "./$path" -maxdepth 0 -printf '%y\t%m\t%l\n')
      sum=-
      [[ $type != f ]] || { sum=$(sha256sum <"./$path"); sum=${sum%% *}; }
      printf 'restored: %s %4s %s %q%s\n' "$type" "$mode" "$sum" "$path" "${target:+ -> $target}"
      [[ $type != f || $path != *.toml ]] || sed 's/^/restored: | /' "./$path"
    done
  )
  echo "restored: end"
}
