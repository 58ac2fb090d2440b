#!/bin/bash
# Environment variables with a dot in their name are settings of OpenSearch: discovery.type=single-node.
set -euo pipefail
settings=()
while IFS= read -r -d '' entry; do
  name=${entry%%=*}
  [[ $name == *.* && $name =~ ^[a-z0-9_.]+$ ]] && settings+=("-E$entry")
done < <(env -0)
exec "$@" "${settings[@]}"
