# What the parts of .ci/run and .ci/nightly share. Sourced by bash, from the top of the repository.
# The counts of a part go to the file $TALLY ("passed failed"); without one they are only printed.

PART_PASSED=0
PART_FAILED=0
VENV=${DISSENSUS_VENV:-.venv}

minutes() { awk -v s="$1" 'BEGIN { printf "%.1f", s / 60 }'; }

# need_debian PACKAGE:PROBE...: installs the packages whose probe fails. A probe is a command name,
# a path, or `venv` for Python's module.
need_debian() {
    local missing=() item package probe
    for item in "$@"; do
        package=${item%%:*} probe=${item##*:}
        case $probe in
            venv) python3 -c 'import venv, ensurepip' 2>/dev/null ;;
            /*) [ -e "$probe" ] ;;
            *) command -v "$probe" >/dev/null ;;
        esac || missing+=("$package")
    done
    [ ${#missing[@]} = 0 ] && return 0
    if [ "$(id -u)" != 0 ]; then
        echo "missing packages; this line installs them: sudo apt-get install -y ${missing[*]}"
        return 3
    fi
    echo "installing: ${missing[*]}"
    apt-get update -qq >/dev/null && DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

count() {
    PART_PASSED=$(( PART_PASSED + $1 )) PART_FAILED=$(( PART_FAILED + $2 ))
    if [ -n "${TALLY:-}" ]; then echo "$PART_PASSED $PART_FAILED" > "$TALLY"; fi
}

# check NAME COMMAND...: one thing that passes or fails, by the command's exit code.
check() {
    local name=$1 from=$SECONDS code
    shift
    echo "--- $name"
    "$@"
    code=$?
    if [ "$code" = 0 ]; then
        count 1 0
        echo "ok: $name ($(( SECONDS - from )) s)"
    else
        count 0 1
        echo "FAILED: $name (exit $code, $(( SECONDS - from )) s)"
    fi
    return 0
}

# check_exit CODE NAME COMMAND...: passes when the command exits with CODE.
check_exit() {
    local wanted=$1 name=$2
    shift 2
    check "$name" exits "$wanted" "$@"
}

exits() {
    local wanted=$1 code
    shift
    "$@"
    code=$?
    [ "$code" = "$wanted" ] || { echo "exit $code, expected $wanted: $*"; return 1; }
}

# pytest_check COMMAND...: a pytest run; its own closing line says how many passed and failed.
pytest_check() {
    local log code line passed failed
    log=$(mktemp)
    "$@" 2>&1 | tee "$log"
    code=${PIPESTATUS[0]}
    line=$(grep -E '[0-9]+ (passed|failed|error)' "$log" | tail -n 1)
    rm -f "$log"
    number() { grep -oE "[0-9]+ $1" <<<"$line" | awk '{ n += $1 } END { print n + 0 }'; }
    passed=$(number passed) failed=$(( $(number failed) + $(number error) ))
    # pytest can fail without a failed test: a broken configuration, or no test at all (exit 5).
    if [ "$code" != 0 ] && [ "$failed" = 0 ]; then failed=1; fi
    count "$passed" "$failed"
}

finish() {
    echo "$PART_PASSED passed, $PART_FAILED failed"
    [ "$PART_FAILED" = 0 ] && [ "$PART_PASSED" -gt 0 ]
}
