#!/bin/sh
# Publish what a stage serves now, from a shell: stamp.sh FILE VERSION WATERMARK
# WATERMARK is up to when the data is complete (2026-11-22T09:00:00Z), not when the job ran.
set -eu
mkdir -p "$(dirname "$1")"
cat >"$1.tmp.$$" <<END
{"status": "ok", "version": "$2", "watermark": "$3", "updated_at": "$(date -u +%Y-%m-%dT%H:%M:%SZ)"}
END
mv "$1.tmp.$$" "$1"
