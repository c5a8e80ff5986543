# Shell functions shared by the project's scripts; source it, it runs nothing by itself.
# shellcheck shell=bash

say() { printf '%s\n' "$*"; }
warn() { printf 'warning: %s\n' "$*" >&2; }
die() {
    printf '%s: %s\n' "$(basename "$0")" "$*" >&2
    exit 1
}

# installed_versions PACKAGE...: one line "PACKAGE VERSION" for each that dpkg has fully installed.
installed_versions() {
    { dpkg-query -W -f '${db:Status-Status} ${Package} ${Version}\n' "$@" 2>/dev/null || true; } |
        sed -n 's/^installed //p'
}
installed_version() { installed_versions "$1" | cut -d' ' -f2; }

# version_at_least HAVE WANT, by Debian's rules (7.88.1-10 < 8.14 < 8.14.1-2~bpo12+1).
version_at_least() { dpkg --compare-versions "$1" ge "$2"; }

# run_logged LOG COMMAND...: quiet when all is well, the end of the log when not.
run_logged() {
    local log=$1
    shift
    if ! "$@" >>"$log" 2>&1; then
        tail -n 40 "$log" | sed 's/^/    /' >&2
        die "failed: $* (log: $log)"
    fi
}

# give_back FOLDER: under sudo or su a clone still belongs to the person who made it, and what is made in it, too.
give_back() {
    local owner
    owner=$(stat -c %u:%g "$(dirname "$1")")
    if [ "$(id -u)" -eq 0 ] && [ "$owner" != 0:0 ] && [ -e "$1" ]; then chown -R -h "$owner" "$1"; fi
}
