#!/bin/sh
# What fleetpmap runs on a host: it reads /proc, prints what it read, writes nothing there and leaves nothing running.
#
# It comes in on the stdin of `sh -s`, behind one line: set -- NONCE PROC_ROOT OWNERS GZIP (the last two 0 or 1).
# To try it by hand:  sh probe.sh 0123456789abcdef0123456789abcdef /proc 1 0
#
#   prints  NONCE begin 1 KEY=VALUE...       what this host can do; before it, whatever the login printed
#           NONCE list gzip|plain BODY       at once: every process (stat, cmdline; uid and passwd if OWNERS)
#           NONCE read gzip|plain BODY       for a line `read PID...` on stdin (smaps, access, stat, uid, passwd)
#           NONCE bye                        for the line `quit`
#           NONCE fail REASON                and nothing more
#   BODY    (NONCE SECTION LF bytes)... NONCE end LF, as a gzip member of its own or as it is
#
# Only POSIX sh, grep and tail are needed. No here-documents: some shells write them to /tmp. Frames are printed by the
# shell's own echo, so that the nonce is never in the arguments of a process that others on the host can see.

# A variable that came in exported would carry its new value, the nonce, into the environment of every child.
set +a
unset nonce proc_root owners gzip GREP_OPTIONS GZIP CDPATH
nonce=$1 proc_root=$2 owners=$3 gzip=$4
LC_ALL=C
PATH=${PATH:+$PATH:}/usr/bin:/bin:/usr/sbin:/sbin
export LC_ALL PATH

fail() { # REASON
    echo "$nonce fail $1"
    exit 1
}

word() { # VALUE: itself if it can stand in the begin line, else nothing
    case $1 in
        *[!A-Za-z0-9._+~:-]*) ;;
        *) echo "$1" ;;
    esac
}

first_word() { # FILE: the first word in it, nothing if there is no such file
    [ -r "$1" ] || return
    read -r found _ <"$1"
    word "$found"
}

# guarded COMMAND...: run it so that it does not outlive the connection, even blocked in a read. While a phase runs
# the client says nothing, so whatever comes on the real stdin (fd 3), first of all its end, means stop. Each command
# has its own watcher, because a shell without job control can kill the process it started, but not that process's
# children. KILL, since a shell forked a moment ago may still have its parent's handlers, and lose a TERM.
guarded() {
    "$@" </dev/null 3<&- &
    child=$!
    { read -r _ <&3; kill -KILL "$child"; } >/dev/null 2>&1 &
    watcher=$!
    wait "$child" 2>/dev/null
    code=$?
    kill -KILL "$watcher" 2>/dev/null
    wait "$watcher" 2>/dev/null
    return "$code"
}

# Below 126 is the command's own word (grep and tail say 1 or 2 for a file that went away). From there on it was
# killed or could not start: stop without an end frame, so that what is missing cannot pass for all there is.
check() { # CODE
    [ "$1" -lt 126 ] || exit 1
}

run() { # COMMAND...
    guarded "$@"
    check "$?"
}

section() { # NAME
    echo "$nonce $1"
}

files() { # NAME PID...: sets $files to PID/NAME...
    name=$1
    shift
    files=
    for pid; do files="$files $pid/$name"; done
}

# stats PID...: grep puts the path before each line, so a name with a newline in it cannot pass for another process.
stats() {
    section stat
    files stat "$@"
    # shellcheck disable=SC2086 # a list of paths: split it
    run grep -aHs '' $files
}

# owners PID...: the Uid line of each, and the passwd lines that name them.
owners() {
    section uid
    files status "$@"
    # shellcheck disable=SC2086 # a list of paths: split it
    lines=$(guarded grep -aHs '^Uid:' $files)
    check "$?"
    [ -n "$lines" ] || return 0
    echo "$lines"
    section passwd
    if [ "$proc_root" = /proc ] && command -v getent >/dev/null 2>&1; then
        # shellcheck disable=SC2046 # a list of effective uids: split it
        run getent passwd $(echo "$lines" | cut -f3 | sort -u)
    else
        run grep -ahs '' ../etc/passwd
    fi
}

# access PID...: only open() knows; [ -r ] says yes where open() says EACCES.
# shellcheck disable=SC2317,SC2329 # reached through run; shellcheck's number for that depends on its version
access() {
    for pid; do
        if { :; } <"$pid/smaps"; then
            echo "$pid ok"
        elif [ -e "$pid/smaps" ]; then
            echo "$pid denied"
        elif [ -e "$pid/stat" ]; then
            echo "$pid unsupported"
        else
            echo "$pid gone"
        fi
    done 2>/dev/null
}

list_some() { # PID...
    stats "$@"
    section cmdline
    files cmdline "$@"
    # shellcheck disable=SC2086 # a list of paths: split it
    run grep -azHs '' $files
    [ "$owners" = 0 ] || owners "$@"
}

read_some() { # PID...
    section smaps
    files smaps "$@"
    # /dev/null is there because tail prints no header above a single file.
    # shellcheck disable=SC2086 # a list of paths: split it
    run tail -n +1 /dev/null $files 2>/dev/null
    section access
    run access "$@"
    stats "$@"
    owners "$@"
}

some() { # list|read PID...
    verb=$1
    shift
    case $verb in list) list_some "$@" ;; read) read_some "$@" ;; esac
}

# body list|read PID...: at most 500 at a time, since the kernel bounds the length of an argument list.
body() {
    phase=$1
    shift
    pids='' count=0
    for pid; do
        case $pid in *[!0-9]*) continue ;; esac
        pids="$pids $pid" count=$((count + 1))
        if [ "$count" -eq 500 ]; then
            # shellcheck disable=SC2086 # a list of pids: split it
            some "$phase" $pids
            pids='' count=0
        fi
    done
    # shellcheck disable=SC2086 # a list of pids: split it
    [ "$count" -eq 0 ] || some "$phase" $pids
    section end
}

# phase list|read PID...: fd 3 is the real stdin, for the watchers.
phase() {
    echo "$nonce $1 $compression"
    if [ "$compression" = gzip ]; then
        body "$@" 3<&0 </dev/null | gzip -1 -c || exit 1
    else
        (body "$@") 3<&0 </dev/null || exit 1
    fi
}

# Which tools, asked by what they do: BusyBox can leave out any option.
choose_tools() {
    case $(echo x | grep -azHsc '' 2>/dev/null) in *:1) ;; *) fail tools ;; esac
    case $(tail -n +1 /dev/null /dev/null 2>/dev/null) in "==> /dev/null <=="*) ;; *) fail tools ;; esac
    case $(grep --version 2>&1) in *BusyBox*) reader=busybox ;; *) reader=gnu ;; esac
    compression=plain
    if [ "$gzip" = 1 ] && command -v gzip >/dev/null 2>&1; then compression=gzip; fi
}

begin() {
    kernel=$(first_word sys/kernel/osrelease)
    page_size=$(getconf PAGESIZE 2>/dev/null)
    namespace=$(readlink self/ns/pid 2>/dev/null)
    namespace=${namespace#*\[}
    # read is part of the shell, so self is this shell, numbered as this procfs sees it.
    probe_pid=
    if [ -r self/stat ]; then read -r probe_pid _ <self/stat; fi
    echo "$nonce begin 1 uid=$(id -u) kernel=${kernel:-$(word "$(uname -r)")} page_size=${page_size:-4096}" \
        "boot_id=$(first_word sys/kernel/random/boot_id) pid_namespace=$(word "${namespace%]}")" \
        "reader=$reader compression=$compression probe_pid=$(word "$probe_pid")"
}

answer() { # COMMAND PIDS: one line of stdin
    case $1:$2 in
        quit:)
            echo "$nonce bye"
            exit 0
            ;;
        read:*[!0-9\ ]*) fail request ;;
        read:*)
            # shellcheck disable=SC2086 # a list of pids: split it
            phase read $2
            ;;
        *) fail request ;;
    esac
}

main() {
    cd "$proc_root" 2>/dev/null || fail proc_root
    set -- [0-9]*
    [ "$1" != '[0-9]*' ] || fail proc_root
    choose_tools
    begin
    phase list "$@"
    while read -r command words; do
        answer "$command" "$words"
    done
    exit 0
}

# The last line: when main reads stdin, no shell has a part of this script still to read there.
main
