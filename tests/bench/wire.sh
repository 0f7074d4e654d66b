#!/usr/bin/env bash
# Making and reading records, against serde_json's usual way; the pairs run inside one process.
set -eu -o pipefail
cargo bench --quiet --package wire --bench wire
