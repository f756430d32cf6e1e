#!/bin/sh
# What fleetpmap runs on a host: it reads /proc, prints what it read, writes nothing there and leaves nothing running.
#
# It comes in on the stdin of `sh -s`, behind one line: set -- NONCE PROC_ROOT WISH...
#   wishes: gzip (pack what is sent); what else to list of every process: uid (with passwd), cgroup, exe; what else to
#           read: rollup (smaps_rollup, for which the kernel walks the page tables once more); rollup_only (it takes the
#           place of smaps where the kernel has it)
# To try it by hand:  sh probe.sh 0123456789abcdef0123456789abcdef /proc uid cgroup
#
#   prints  NONCE begin 1 KEY=VALUE...       what this host can do; before it, whatever the login printed
#           NONCE list gzip|plain BODY       at once, and again for the line `list`: every process (stat, cmdline, and what was wished for)
#           NONCE read gzip|plain BODY       for a line `read PID...` on stdin (smaps, rollup, access, stat, uid, passwd)
#           NONCE bye                        for the line `quit`
#           NONCE fail REASON                and nothing more
#   BODY    (NONCE SECTION LF bytes)... NONCE end LF, as a gzip member of its own or as it is
#
# grep and tail read, GNU's or BusyBox's. Without them the shell reads alone: a byte at a time, and no command lines if
# its `read` cannot stop at a NUL. exe needs tar. No here-documents: some shells write them to /tmp. Frames are printed
# by the shell's own echo, so that the nonce is never in the arguments of a process that others on the host can see.

# A variable that came in exported would carry its new value, the nonce, into the environment of every child.
set +a
unset nonce proc_root GREP_OPTIONS TAR_OPTIONS GZIP CDPATH
nonce=$1 proc_root=$2
shift 2
wishes=" $* "
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

wished() { # WISH
    case $wishes in *" $1 "*) ;; *) return 1 ;; esac
}

first_word() { # FILE: the first word in it, nothing if there is no such file
    [ -r "$1" ] || return
    read -r found _ <"$1"
    word "$found"
}

number_behind() { # KEY FILE: the number behind the first KEY in it, nothing if there is none
    while read -r key found _; do
        if [ "$key" = "$1" ]; then
            word "$found"
            return
        fi
    done 2>/dev/null <"$2"
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
    [ "$1" -lt 126 ] || exit "$1"
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

# lines_of BEGINNING NAME PID...: the lines that begin so, each behind `PID/NAME:`, as grep -H prints it: a name with a
# newline in it cannot pass for another process.
lines_of() {
    beginning=$1
    shift
    files "$@"
    # shellcheck disable=SC2086 # a list of paths: split it
    case $reader in
        sh) run shell_lines $files ;;
        *) run grep -aHs "^$beginning" $files ;;
    esac
}

# arguments PID...: `PID/cmdline:ARGUMENT` and a NUL for each.
arguments() {
    [ "$reader$shell_words" != sh ] || return 0
    section cmdline
    files cmdline "$@"
    # shellcheck disable=SC2086 # a list of paths: split it
    case $reader in
        sh) run shell_arguments $files ;;
        *) run grep -azHs '' $files ;;
    esac
}

# texts PID...: each smaps behind the header that tail -n +1 puts there. /dev/null is in the list because tail prints no
# header above a single file.
texts() {
    section smaps
    files "$maps" "$@"
    # shellcheck disable=SC2086 # a list of paths: split it
    case $reader in
        sh) run shell_texts $files ;;
        *) run tail -n +1 /dev/null $files 2>/dev/null ;;
    esac
}

# What the shell reads by itself. $text prints a text as it is: echo would read the backslashes in it.
# shellcheck disable=SC2317,SC2329 # reached through run; shellcheck's number for that depends on its version
shell_lines() { # FILE...
    for file; do
        while IFS= read -r line || [ -n "$line" ]; do
            case $line in "$beginning"*) $text "$file:$line$newline" ;; esac
        done <"$file"
    done 2>/dev/null
}

# shellcheck disable=SC2317,SC2329,SC3045 # reached through run; only where this shell's read has -d
shell_arguments() { # FILE...
    for file; do
        while IFS= read -r -d '' argument || [ -n "$argument" ]; do
            $text "$file:$argument"
            $nul
        done <"$file"
    done 2>/dev/null
}

# shellcheck disable=SC2317,SC2329,SC3045 # reached through run; only where this shell's read has -d
shell_texts() { # FILE...
    $text "==> /dev/null <==$newline"
    for file; do
        { :; } <"$file" || continue
        $text "$newline==> $file <==$newline"
        if [ "$shell_words" = x ]; then
            # All at once: bash reads ahead and seeks back after each line, and then the kernel begins anew.
            IFS= read -r -d '' line <"$file"
        else
            while IFS= read -r line; do $text "$line$newline"; done <"$file"
        fi
        $text "$line"
    done 2>/dev/null
}

# owners PID...: the Uid line of each, and the passwd lines that name them.
owners() {
    section uid
    lines=$(lines_of Uid: status "$@")
    check "$?"
    [ -n "$lines" ] || return 0
    echo "$lines"
    section passwd
    if [ "$reader" = sh ]; then
        run cat_users
    elif [ "$proc_root" = /proc ] && command -v getent >/dev/null 2>&1; then
        # shellcheck disable=SC2046,SC2086 # lists of numbers: split them
        run getent passwd $(effective_uids $lines)
    else
        run grep -ahs '' ../etc/passwd
    fi
}

effective_uids() { # PID/status:Uid: REAL EFFECTIVE SAVED FILESYSTEM...: each effective uid once
    uids=' '
    while [ "$#" -ge 5 ]; do
        case $uids in *" $3 "*) ;; *) uids="$uids$3 " ;; esac
        shift 5
    done
    echo "$uids"
}

# shellcheck disable=SC2317,SC2329 # reached through run
cat_users() {
    while IFS= read -r line; do $text "$line$newline"; done 2>/dev/null <../etc/passwd
}

# programs PID...: where each exe points. A path can hold anything but a NUL; tar keeps it as it is, and of an archive of
# symbolic links each is found by its length. What may not be read, tar leaves out.
programs() {
    section exe
    files exe "$@"
    # shellcheck disable=SC2086 # words and a list of paths: split them
    run $archiver -cf - $files 2>/dev/null
}

# access PID...: only open() knows; [ -r ] says yes where open() says EACCES.
# shellcheck disable=SC2317,SC2329 # reached through run; shellcheck's number for that depends on its version
access() {
    for pid; do
        if { :; } <"$pid/$maps"; then
            echo "$pid ok"
        elif [ -e "$pid/$maps" ]; then
            echo "$pid denied"
        elif [ -e "$pid/stat" ]; then
            echo "$pid unsupported"
        else
            echo "$pid gone"
        fi
    done 2>/dev/null
}

list_some() { # PID...
    section stat
    lines_of '' stat "$@"
    arguments "$@"
    if wished uid; then owners "$@"; fi
    if wished cgroup; then
        section cgroup
        lines_of '' cgroup "$@"
    fi
    if wished exe; then programs "$@"; fi
}

read_some() { # PID...
    texts "$@"
    if wished rollup; then
        section rollup
        lines_of '' smaps_rollup "$@"
    fi
    section access
    run access "$@"
    section stat
    lines_of '' stat "$@"
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
    clock
    began=$now
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
    clock
    if [ -n "$began" ]; then
        section time
        echo "$began $now"
    fi
    section end
}

# clock: sets $now to the seconds since boot, of which the kernel tells hundredths; date(1) would be a fork.
clock() {
    now=
    if [ -r uptime ]; then read -r now _ <uptime; fi
}

# phase list|read PID...: fd 3 is the real stdin, for the watchers.
phase() {
    echo "$nonce $1 $compression"
    if [ "$compression" = gzip ]; then
        # shellcheck disable=SC2086 # words: split them
        body "$@" 3<&0 </dev/null | $nicely gzip -1 -c || exit 1
    else
        (body "$@") 3<&0 </dev/null || exit 1
    fi
}

# Which tools, asked by what they do: BusyBox can leave out any option.
choose_tools() {
    case $(echo x | grep -azHsc '' 2>/dev/null):$(tail -n +1 /dev/null /dev/null 2>/dev/null) in
        *:1:"==> /dev/null <=="*)
            case $(grep --version 2>&1) in *BusyBox*) reader=busybox ;; *) reader=gnu ;; esac
            ;;
        *) choose_builtins ;;
    esac
    compression=plain
    if wished gzip && command -v gzip >/dev/null 2>&1; then compression=gzip; fi
    # Only the packing makes way for others: who reads smaps holds the process's mmap_lock, and must not dawdle.
    nicely=
    if command -v nice >/dev/null 2>&1; then nicely='nice -n 10'; fi
    if wished exe; then choose_archiver; fi
}

# shellcheck disable=SC3045 # read -d is only tried
choose_builtins() {
    reader=sh newline='
'
    if [ "$(command -v printf)" = printf ]; then
        text='printf %s' nul='printf \0'
    elif [ "$(command -v print)" = print ]; then
        text='print -rn --' nul='print -n \0'
    else
        fail tools
    fi
    found=
    shell_words=$({ $nul && $text x; } | { IFS= read -r -d '' _ && IFS= read -r -d '' found; echo "$found"; } 2>/dev/null)
}

# Without --numeric-owner GNU tar asks for the name of every owner, which can go over the network.
choose_archiver() {
    archiver='tar --numeric-owner --format=gnu'
    $archiver -cf - /dev/null >/dev/null 2>&1 && return
    archiver=tar
    $archiver -cf - /dev/null >/dev/null 2>&1 || fail tar
}

# choose_maps PID...: what to read of each. `self` is not in a recorded tree.
choose_maps() {
    maps=smaps
    wished rollup_only || return 0
    for one in self "$@"; do
        if [ -e "$one/smaps_rollup" ]; then
            maps=smaps_rollup
            return 0
        fi
    done
}

begin() {
    kernel=$(first_word sys/kernel/osrelease)
    page_size=$(number_behind KernelPageSize: self/smaps)
    [ -n "$page_size" ] || page_size=$(getconf PAGESIZE 2>/dev/null)
    case $page_size in 4 | 8 | 16 | 64) page_size=$((page_size * 1024)) ;; esac
    namespace=$(readlink self/ns/pid 2>/dev/null)
    namespace=${namespace#*\[}
    # read is part of the shell, so self is this shell, numbered as this procfs sees it.
    probe_pid=
    if [ -r self/stat ]; then read -r probe_pid _ <self/stat; fi
    uid=$(number_behind Uid: /proc/self/status)
    [ -n "$uid" ] || uid=$(id -u 2>/dev/null)
    echo "$nonce begin 1 uid=$uid kernel=${kernel:-$(word "$(uname -r 2>/dev/null)")} page_size=${page_size:-4096}" \
        "boot_id=$(first_word sys/kernel/random/boot_id) pid_namespace=$(word "${namespace%]}")" \
        "reader=$reader compression=$compression probe_pid=$(word "$probe_pid")"
}

answer() { # COMMAND PIDS: one line of stdin
    case $1:$2 in
        quit:)
            echo "$nonce bye"
            exit 0
            ;;
        list:) phase list [0-9]* ;;
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
    choose_maps "$@"
    begin
    phase list "$@"
    while read -r command words; do
        answer "$command" "$words"
    done
    exit 0
}

# The last line: when main reads stdin, no shell has a part of this script still to read there.
main
