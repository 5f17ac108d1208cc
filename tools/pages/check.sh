#!/bin/sh
# Install what the check needs (in this folder, once), then check the pages of a built book:  sh check.sh ../../_build/html
root=$(realpath "$1") && cd "$(dirname "$0")" || exit
for program in chromium node npm python3; do
    command -v $program >/dev/null || {
        echo "$program is missing: on Debian run  sudo apt-get install chromium nodejs npm python3" >&2
        exit 1
    }
done
cmp -s package-lock.json node_modules/.installed || {
    echo "Installing the pinned packages of tools/pages/package.json (once) ..."
    npm ci --no-audit --no-fund --loglevel=error && cp package-lock.json node_modules/.installed || exit
}
python3 figure_readouts.py "$root/../figures.json" || exit
exec node check.mjs "$root" "$(command -v chromium)"
