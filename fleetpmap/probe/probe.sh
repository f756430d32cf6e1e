#!/bin/sh
# What fleetpmap runs on a host: it reads /proc, prints what it read, writes nothing there and leaves nothing running.
#
# It comes in on the stdin of `sh -s`, behind one line: set -- NONCE PROC_ROOT WISH...
#   wishes: gzip (pack what is sent); what else to list of every process: words (its command line), uid (with passwd),
#           cgroup, exe, access (if its smaps may not be opened); what else to read: rollup (smaps_rollup, for which the kernel walks the page tables once more);
#           rollup_only (it takes the place of smaps where the kernel has it)
# To try it by hand:  sh probe.sh 0123456789abcdef0123456789abcdef /proc uid cgroup
#
#   prints  NONCE begin 1 KEY=VALUE...       what this host can do; before it, whatever the login printed
#           NONCE list gzip|plain BODY       at once, and again for a line `list`: every process: stat up to its rss,
#                                            cmdline (without `words` only where the name alone may not tell who it is:
#                                            15 bytes, since there the kernel cuts it, and the shells and sshd above
#                                            this one), uid and passwd, cgroup, exe
#           NONCE read gzip|plain BODY       for a line `read PID... [/ PID...]...`: smaps, with a time for each group,
#                                            access, uid, facts (stat, cmdline, smaps_rollup), passwd
#                                            Both have the files of a living thread, PID/task/TID/NAME, of a process
#                                            whose main thread has ended while others run: its own are empty
#           BODY BODY                        for a line `list PID... [/ PID...]...`, from who knows already whom to read:
#                                            packed as the list before; a line ahead of them would be a message more
#           NONCE over                       behind each of these
#           NONCE bye                        for the line `quit`
#           NONCE fail REASON                and nothing more
#   BODY    (NONCE SECTION LF bytes)... NONCE end LF, gzipped or as it is; what lies before a section `void` is not valid
#
# grep and tail read, GNU's or BusyBox's. Without them the shell reads alone: a byte at a time, and no command lines if
# its `read` cannot stop at a NUL. exe needs tar. No here-documents: some shells write them to /tmp. Frames are printed
# by the shell's own echo, so that the nonce is never in the arguments of a process that others on the host can see.
# A fork costs as much as reading ten processes, so functions set a variable where $(...) would be the custom.

# shellcheck disable=SC2317,SC2329 # for all of it: functions are reached through in_parts, too

# A login script may have put another shell in the place of sh (`exec zsh`), and options, functions and variables may be
# inherited (SHELLOPTS, `export -f`): noglob alone would leave no process in the list.
case $- in
    *r*)
        echo "fleetpmap: a restricted shell reads the script in the place of sh"
        exit 1
        ;;
esac
if [ -n "${ZSH_VERSION-}" ]; then
    emulate -R sh
    unalias -a
fi
set +aCefmuvx
# Shells keep a copy of each descriptor that they redirect, from 10 on; where they cannot, some end without a word.
{ :; } 3<&0 4<&0 5<&0 6<&0 7<&0 8<&0 9<&0 2>&1 || {
    echo "fleetpmap: the account may open too few files at a time (ulimit -n)"
    exit 1
}
unset IFS GLOBIGNORE GREP_OPTIONS TAR_OPTIONS GZIP CDPATH
unset -f awk cd command echo getconf getent grep gzip id kill nice printf read readlink tail tar uname wait 2>/dev/null
nowhere=
[ /proc/self/fd/1 -ef /dev/null ] 2>/dev/null && : "${nowhere:?fleetpmap: the output of the script goes to /dev/null}"

# A variable that came in exported would carry its new value, the nonce, into the environment of every child.
unset nonce proc_root
nonce=$1 proc_root=$2
[ "$#" -lt 2 ] || shift 2
wishes=" $* "
LC_ALL=C
PATH=${PATH:+$PATH:}/usr/bin:/bin:/usr/sbin:/sbin
export LC_ALL PATH
newline='
'

fail() { # REASON
    echo "$nonce fail $1"
    exit 1
}

wished() { # WISH
    case $wishes in *" $1 "*) ;; *) return 1 ;; esac
}

word() { # VALUE: sets $word to it if it can stand in the begin line, else to nothing
    case $1 in
        *[!A-Za-z0-9._+~:-]*) word= ;;
        *) word=$1 ;;
    esac
}

first_word() { # FILE: sets $word to the first word in it, to nothing if there is no such file
    first=
    [ ! -r "$1" ] || read -r first _ <"$1"
    word "$first"
}

number_behind() { # KEY FILE: sets $word to what is behind the first KEY in it, to nothing if there is none
    word=
    while read -r key value _; do
        if [ "$key" = "$1" ]; then
            word "$value"
            return
        fi
    done 2>/dev/null <"$2"
}

# end_all: kill what runs below this shell, even blocked in a read: stopped first, from the top down, so that none of it
# starts another. By /proc, since a shell without job control knows only the processes that it started itself.
end_all() {
    read -r self _ </proc/self/stat
    parents=$$ doomed=''
    while [ -n "$parents" ]; do
        found=
        for parent in $parents; do
            children "$parent"
            for child in $children; do
                [ "$child" = "$self" ] || { kill -STOP "$child" && found="$found $child"; }
            done
        done
        doomed="$found $doomed" parents=$found
    done
    # From the bottom up: when the phase's own shells have ended, the main one ends this.
    # shellcheck disable=SC2086 # a list of pids: split it
    kill -KILL $doomed
}

children() { # PID: sets $children to those that it started
    children=
    if [ -e "/proc/$1/task/$1/children" ]; then
        read -r children <"/proc/$1/task/$1/children"
        return
    fi
    for one in /proc/[0-9]*; do
        read -r line <"$one/stat" || continue
        line=${line##*) ? }
        [ "${line%% *}" != "$1" ] || children="$children ${one#/proc/}"
    done
}

# Below 126 is the command's own word (grep and tail say 1 or 2 for a file that went away). From there on it was
# killed or could not start: stop without an end frame, so that what is missing cannot pass for all there is.
check() { # CODE
    [ "$1" -lt 126 ] || exit "$1"
}

run() { # COMMAND...
    "$@"
    check "$?"
}

section() { # NAME
    echo "$nonce $1"
}

# files NAME PID...: sets $files to PID/NAME... Appending copies all that is there, so for many pids a fork is cheaper.
files() {
    name=$1 files=
    shift
    case $reader:$# in
        sh:* | *:? | *:??) for pid; do files="$files $pid/$name"; done ;;
        *) files=$(printf " %s/$name" "$@") ;;
    esac
}

# in_parts LIMIT STEP PID...: so many at a time, since the kernel bounds the length of an argument list (to 128 KiB at
# worst). What is no pid is left out.
in_parts() {
    limit=$1 step=$2 part='' count=0
    shift 2
    case $#:$* in
        0:*) return ;;
        *[!0-9:\ ]*) ;;
        *)
            if [ "$#" -le "$limit" ]; then
                "$step" "$@"
                return
            fi
            ;;
    esac
    for pid; do
        case $pid in / | *[!0-9/askt]*) continue ;; esac
        part="$part $pid" count=$((count + 1))
        if [ "$count" -eq "$limit" ]; then
            # shellcheck disable=SC2086 # a list of pids: split it
            "$step" $part
            part='' count=0
        fi
    done
    # shellcheck disable=SC2086 # a list of pids: split it
    [ "$count" -eq 0 ] || "$step" $part
}

# lines_of BEGINNING NAME PID...: the lines that begin so, each behind `PID/NAME:`, as grep -H prints it: a name with a
# newline in it cannot pass for another process.
lines_of() {
    beginning=$1
    shift
    files "$@"
    # shellcheck disable=SC2086 # a list of paths: split it
    case $reader in
        sh) shell_lines $files ;;
        *) run grep -aHs "^$beginning" $files ;;
    esac
}

# stats PID...: each stat; adds to $cut whose name has 15 bytes, and to $zombies those that may be one. awk drops what comes behind the rss, most of it: its
# limit is there, nearly always the greatest number. The names come on stderr, which is cheaper than to read again:
# opening a file of /proc costs more than all else.
stats() {
    section stat
    files stat "$@"
    beginning=
    # shellcheck disable=SC2086 # a list of paths: split it
    case $reader:$filter in
        sh:*)
            shell_lines $files
            return
            ;;
        *:awk)
            { told=$(awk "$shorten" $files 2>&1 >&4); } 4>&1
            code=$?
            check "$code"
            if [ "$code" -eq 0 ]; then
                pids_told
                return
            fi
            # It does not know a word of that; or it is mawk, for which it is the end when a process exits between the
            # opening and the reading of its file.
            section void
            section stat
            ;;
    esac
    # shellcheck disable=SC2086 # a list of paths: split it
    run grep -aHs '' $files
    # shellcheck disable=SC2086 # a list of paths: split it
    told=$(grep -als -e '^[0-9]* (.\{15\}) ' -e ') Z ' $files)
    pids_told
    zombies="$zombies $cut"
}

# Not awk's own loop over files, which in some ends at the first that is gone.
shorten='BEGIN {
for (i = 1; i < ARGC; i++) {
    file = ARGV[i]
    while ((getline line < file) == 1) {
        if (end = index(line, " 18446744073709551615 ")) line = substr(line, 1, end)
        print file ":" line
        if (substr(line, index(line, "(") + 16, 1) == ")") print file > "/dev/stderr"
        if (index(line, ") Z ")) print file " Z" > "/dev/stderr"
    }
    close(file)
}
}'

pids_told() { # adds to $zombies the pids of the lines of $told that end in ` Z`, to $cut those of the others
    IFS=$newline
    set -f
    for line in $told; do
        case $line in
            [0-9]*/*' Z') zombies="$zombies ${line%%/*}" ;;
            [0-9]*/*) cut="$cut ${line%%/*}" ;;
        esac
    done
    set +f
    unset IFS
}

# living_threads PID...: adds to $living PID/task/TID of a thread that runs, for each zombie that has one: its main
# thread has ended, and only the files of the others tell of the memory.
living_threads() {
    for pid; do
        for task in "$pid"/task/[0-9]*; do
            [ "$task" != "$pid/task/$pid" ] && [ -r "$task/status" ] || continue
            number_behind State: "$task/status"
            case $word in
                '' | [ZX]) ;;
                *)
                    living="$living $task"
                    break
                    ;;
            esac
        done
    done
}

# records NAME... / PLACE...: these files of each PLACE (a PID, or PID/task/TID), whole, each closed by a NUL.
records() {
    wanted='' names=''
    while [ "$1" != / ]; do
        names="$names $1"
        shift
    done
    shift
    for each in $names; do
        [ "$each:$reader$shell_words" != cmdline:sh ] || continue # its read cannot stop at a NUL
        files "$each" "$@"
        wanted="$wanted$files"
    done
    # shellcheck disable=SC2086 # a list of paths: split it
    case $reader in
        sh) shell_records $wanted ;;
        *) run grep -azHs '' $wanted ;;
    esac
}

# arguments PID...: `PID/cmdline:ARGUMENT` and a NUL for each.
arguments() {
    [ "$reader$shell_words" != sh ] || return 0
    files cmdline "$@"
    # shellcheck disable=SC2086 # a list of paths: split it
    case $reader in
        sh) shell_records $files ;;
        *) run grep -azHs '' $files ;;
    esac
}

# owners PID...: the Uid line of each, and the passwd lines that name them.
owners() {
    section uid
    lines=$(lines_of Uid: status "$@")
    check "$?"
    [ -n "$lines" ] || return 0
    echo "$lines"
    uids=' '
    # shellcheck disable=SC2086 # PID/status:Uid: REAL EFFECTIVE SAVED FILESYSTEM...: split them
    effective_uids $lines
    users
}

effective_uids() { # PID/status:Uid: REAL EFFECTIVE SAVED FILESYSTEM...: adds each effective uid to $uids once
    while [ "$#" -ge 5 ]; do
        case $uids in *" $3 "*) ;; *) uids="$uids$3 " ;; esac
        shift 5
    done
}

# users: the passwd lines of $uids. Most are near the beginning of the file; a process is started only for the others.
users() {
    [ "$uids" != ' ' ] || return 0
    section passwd
    others='' looked=0
    if [ "$proc_root" = /proc ] && command -v getent >/dev/null 2>&1; then others=getent; fi
    while [ "$uids" != ' ' ] && [ "$others$looked" != getent100 ] && IFS= read -r line; do
        looked=$((looked + 1))
        number=${line#*:*:}
        number=${number%%:*}
        case $uids in
            *" $number "*)
                $text "$line$newline"
                uids="${uids%%" $number "*} ${uids#*" $number "}"
                ;;
        esac
    done 2>/dev/null <../etc/passwd
    if [ "$others" ] && [ "$uids" != ' ' ]; then
        # shellcheck disable=SC2086 # a list of numbers: split it
        run getent passwd $uids
    fi
}

cgroups() { # PID...
    section cgroup
    lines_of '' cgroup "$@"
}

# programs PID...: where each exe points. A path can hold anything but a NUL; tar keeps it as it is, and of an archive of
# symbolic links each is found by its length. What may not be read, tar leaves out.
programs() {
    section exe
    files exe "$@"
    # shellcheck disable=SC2086 # words and a list of paths: split them
    run $archiver -cf - $files 2>/dev/null
}

list_all() {
    set -- [0-9]*
    cut='' zombies='' living=''
    in_parts 2000 stats "$@"
    # shellcheck disable=SC2086 # a list of pids: split it
    living_threads $zombies
    # Even if nothing is in it: who has no such section cannot read command lines.
    [ "$reader$shell_words" = sh ] || section cmdline
    if wished words; then
        in_parts 2000 arguments "$@"
    else
        for pid in $above; do
            case " $cut " in *" $pid "*) ;; *) cut="$cut $pid" ;; esac
        done
        # shellcheck disable=SC2086 # a list of pids: split it
        in_parts 2000 arguments $cut
    fi
    if wished uid; then in_parts 2000 owners "$@"; fi
    if wished cgroup; then in_parts 2000 cgroups "$@"; fi
    # shellcheck disable=SC2086 # a list of places: split it
    if wished exe; then in_parts 2000 programs "$@" $living; fi
    if wished access; then in_parts 2000 openable "$@"; fi
    # shellcheck disable=SC2086 # the same
    if [ "$living" ]; then in_parts 2000 thread_facts $living; fi
}

# openable PID...: the processes whose smaps open() refuses to this user, in the words of `access`.
openable() {
    section access
    for pid; do
        if { :; } <"$pid/smaps"; then
            continue
        elif [ -e "$pid/smaps" ]; then
            echo "$pid denied"
        elif [ -e "$pid/stat" ]; then
            echo "$pid unsupported"
        fi
    done 2>/dev/null
}

thread_facts() { # PID/task/TID...
    section thread
    if wished cgroup; then set -- cgroup / "$@"; else set -- / "$@"; fi
    records stat cmdline "$@"
}

# texts PID...: each smaps (of a PID/task/TID too) behind the header that tail -n +1 puts there. /dev/null is in the
# list because tail prints no header above a single file. GNU's stops at the first file that it cannot read to its end;
# another goes on behind that.
texts() {
    while [ "$#" -gt 0 ]; do
        section smaps
        files "$maps" "$@"
        # shellcheck disable=SC2086 # a list of paths: split it
        case $reader in
            sh)
                shell_texts $files
                return
                ;;
            *) told=$(tail -n +1 /dev/null $files 2>&1 >&4) ;;
        esac
        check "$?"
        case $told in *"error reading '"*) ;; *) return ;; esac
        stopped=${told##*"error reading '"}
        while [ "$#" -gt 0 ]; do
            one=$1
            shift
            [ "${one%%/*}" != "${stopped%%/*}" ] || break
        done
    done
} 4>&1

# group PID...: their texts, and in $times how long they took; behind it the pid of one that was read by itself.
group() {
    [ "$#" -gt 0 ] || return 0
    clock
    began=$now
    in_parts 1000 texts "$@"
    clock
    alone=
    [ "$#" -gt 1 ] || alone=" $1"
    times="$times$began $now$alone$newline"
}

# clock: sets $now to the seconds since boot, of which the kernel tells hundredths; date(1) would be a fork.
clock() {
    now=
    [ ! -r uptime ] || read -r now _ <uptime
}

# access PID...: only open() knows; [ -r ] says yes where open() says EACCES. Adds to $lines the Uid line of each.
access() {
    for one; do
        before=$living
        while IFS= read -r line; do
            case $line in
                State:?Z*) living_threads "$one" ;;
                Uid:*)
                    lines="$lines$newline$one/status:$line"
                    break
                    ;;
            esac
        done <"$one/status"
        place=$one
        [ "$living" = "$before" ] || place=${living##* }
        if { :; } <"$place/$maps"; then
            echo "$one ok"
        elif [ -e "$place/$maps" ]; then
            echo "$one denied"
        elif [ -e "$one/stat" ]; then
            echo "$one unsupported"
        else
            echo "$one gone"
        fi
    done 2>/dev/null
}

# facts PID...: after the reading: who it was, its state, and with rollup the kernel's own sum; whole, each closed by a NUL.
facts() {
    section access
    lines=
    access "$@"
    if [ -n "$lines" ]; then
        section uid
        echo "${lines#?}"
        # shellcheck disable=SC2086 # PID/status:Uid: REAL EFFECTIVE SAVED FILESYSTEM...: split them
        effective_uids $lines
    fi
    section facts
    rollup=''
    ! wished rollup || rollup=smaps_rollup
    # shellcheck disable=SC2086 # one word, or none
    records stat cmdline $rollup / "$@"
    if [ "$living" ]; then
        # shellcheck disable=SC2086 # words, and a list of places: split them
        records stat cmdline $rollup / $living
        # shellcheck disable=SC2086 # a list of places: split it
        texts $living
        living=''
    fi
}

read_all() { # PID... [/ PID...]...
    times='' these='' uids=' ' now='' living=''
    for word in "$@" /; do
        case $word in
            /)
                # shellcheck disable=SC2086 # a list of pids: split it
                group $these
                these=
                ;;
            *) these="$these $word" ;;
        esac
    done
    in_parts 1000 facts "$@"
    users
    if [ -n "$now" ]; then
        section time
        echo "${times%?}"
    fi
}

# What the shell reads by itself. $text prints a text as it is: echo would read the backslashes in it.
shell_lines() { # FILE...
    for file; do
        while IFS= read -r line || [ -n "$line" ]; do
            case $line in "$beginning"*) $text "$file:$line$newline" ;; esac
            case $line in [0-9]*" ("???????????????") "*) cut="$cut ${file%/*}" ;; esac
            case $file:$line in *"/stat:"*") Z "*) zombies="$zombies ${file%/*}" ;; esac
        done <"$file"
    done 2>/dev/null
}

# shellcheck disable=SC3045 # only where this shell's read has -d
shell_records() { # FILE...
    for file; do
        if [ "$shell_words" = x ]; then
            while IFS= read -r -d '' record || [ -n "$record" ]; do
                $text "$file:$record"
                $nul
            done <"$file"
        else
            { :; } <"$file" || continue
            $text "$file:"
            while IFS= read -r line; do $text "$line$newline"; done <"$file"
            $nul
        fi
    done 2>/dev/null
}

# shellcheck disable=SC3045 # only where this shell's read has -d
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

body() { # list | read PIDS | both PIDS
    phase=$1
    shift
    if [ "$phase" != read ]; then
        list_all
        section end
    fi
    if [ "$phase" != list ]; then
        read_all "$@"
        section end
    fi
}

# phase list | read PIDS | both PIDS, where PIDS are PID... [/ PID...]...: while it runs the client says nothing, so
# whatever comes on the real stdin (fd 3), first of all its end, means stop. The packing of a reading makes way for
# others, but not what reads: it holds the mmap_lock.
phase() {
    [ "$1" = both ] || echo "$nonce $1 $compression"
    {
        read -r _
        end_all
    } <&3 >/dev/null 2>&1 &
    watcher=$!
    case $compression:$1 in
        gzip:list) body "$@" </dev/null 3<&- | gzip -1 -c 3<&- ;;
        gzip:*) body "$@" </dev/null 3<&- | $nicely gzip -1 -c 3<&- ;;
        *) (body "$@") </dev/null 3<&- ;;
    esac
    code=$?
    kill -KILL "$watcher" 2>/dev/null
    wait "$watcher" 2>/dev/null
    [ "$code" -eq 0 ] || exit 1
    echo "$nonce over"
}

# Which tools. grep is asked by what it does, since BusyBox can leave out any option; what GNU's can do, its name says.
choose_tools() {
    said=$(grep -azHs --version 2>&1 </dev/null)
    [ "$?" -ne 126 ] || fail noexec
    case $said in
        *BusyBox*) reader=busybox ;;
        *) reader=gnu ;;
    esac
    case $said in
        *"GNU grep"*) ;;
        *) case $(echo x | grep -azHsc '' 2>/dev/null) in *:1) ;; *) reader='sh' ;; esac ;;
    esac
    for tool in tail printf; do command -v "$tool" >/dev/null 2>&1 || reader='sh'; done
    text='printf %s'
    [ "$reader" != sh ] || choose_builtins
    # Some would make a /dev/stderr where there is none.
    filter=
    if [ -e /dev/stderr ] && command -v awk >/dev/null 2>&1; then filter='awk'; fi
    compression=plain
    if wished gzip && command -v gzip >/dev/null 2>&1; then compression=gzip; fi
    nicely=
    if command -v nice >/dev/null 2>&1; then nicely='nice -n 10'; fi
    if wished exe; then choose_archiver; fi
}

# shellcheck disable=SC3045 # read -d is only tried
choose_builtins() {
    if [ "$(command -v printf)" = printf ]; then
        nul='printf \0'
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

# choose_maps: what to read of each. `self` is not in a recorded tree.
choose_maps() {
    maps=smaps
    wished rollup_only || return 0
    for one in self [0-9]*; do
        if [ -e "$one/smaps_rollup" ]; then
            maps=smaps_rollup
            return 0
        fi
    done
}

above_all() { # PID: sets $above to it and what started it, and so on
    above=
    word "$1"
    while [ "${word:-0}" -gt 1 ]; do
        above="$above $word"
        number_behind PPid: "$word/status"
    done
}

namespace_number() { # sets $word to that of our pid namespace, to nothing in a recorded tree
    word=
    [ -r self/ns/pid ] || return 0
    number_behind ino: self/fdinfo/5 5<self/ns/pid # since Linux 5.14
    [ -z "$word" ] || return 0
    number=$(readlink self/ns/pid 2>/dev/null)
    number=${number#*\[}
    word "${number%]}"
}

begin() {
    number_behind KernelPageSize: self/smaps
    page_size=${word:-$(getconf PAGESIZE 2>/dev/null)}
    case $page_size in 4 | 8 | 16 | 64) page_size=$((page_size * 1024)) ;; esac
    number_behind Uid: /proc/self/status
    uid=${word:-$(id -u 2>/dev/null)}
    first_word sys/kernel/osrelease
    [ -n "$word" ] || word "$(uname -r 2>/dev/null)"
    kernel=$word
    first_word sys/kernel/random/boot_id
    boot_id=$word
    # read is part of the shell, so self is this shell, numbered as this procfs sees it.
    number_behind Pid: self/status
    probe_pid=$word
    above_all "$probe_pid"
    namespace_number
    echo "$nonce begin 1 uid=$uid kernel=$kernel page_size=${page_size:-4096} boot_id=$boot_id" \
        "pid_namespace=$word reader=$reader compression=$compression probe_pid=$probe_pid"
}

answer() { # COMMAND WORDS: one line of stdin
    case $1:$2 in
        quit:)
            echo "$nonce bye"
            exit 0
            ;;
        list:*[!0-9/\ ]* | read:*[!0-9/\ ]*) fail request ;;
        list:) phase list ;;
        list:*)
            # shellcheck disable=SC2086 # pids and slashes: split them
            phase both $2
            ;;
        read:*)
            # shellcheck disable=SC2086 # pids and slashes: split them
            phase read $2
            ;;
        *) fail request ;;
    esac
}

main() {
    if [ -z "$nonce" ]; then
        echo "fleetpmap: another program read the first lines of the script"
        exit 1
    fi
    cd "$proc_root" 2>/dev/null || fail proc_root
    if [ ! -e self ]; then # in a recorded tree
        set -- [0-9]*
        [ "$1" != '[0-9]*' ] || fail proc_root
    fi
    exec 3<&0
    choose_tools
    choose_maps
    begin
    phase list
    while read -r command words; do
        answer "$command" "$words"
    done
    exit 0
}

# The last line: when main reads stdin, no shell has a part of this script still to read there.
main
