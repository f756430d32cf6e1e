#!/bin/sh
# The script that fleetpmap runs on a host. It reads /proc and prints the result. It writes no file there and leaves no
# process behind.
#
# It is sent to the stdin of `sh -s`, after one line: set -- NONCE PROC_ROOT WISH...
#   wishes: gzip          pack the output
#           words         list the command line of every process
#           uid           list its uid, with the passwd lines that name the uids
#           cgroup, exe   list its cgroups, the target of its exe
#           names         list the names of the containers that the processes run in
#           access        list processes with an smaps that cannot be opened
#           rollup        read smaps_rollup too, for which the kernel walks the page tables once more
#           rollup_only   read smaps_rollup in place of smaps, if the kernel has it
# To try it by hand:  sh probe.sh 0123456789abcdef0123456789abcdef /proc uid cgroup
#
#   output  NONCE begin 1 KEY=VALUE...       facts about the host; any output before this line is the login's
#           NONCE list gzip|plain BODY       the list phase, at once and again for each line `list`. Sections: stat (to
#                                            the rss), memory (of the host), cmdline, uid, passwd, cgroup, names, exe.
#                                            Without `words`, cmdline has only processes with a name of 15 bytes, at
#                                            which the kernel truncates it, and the shells and sshd above this one
#           NONCE read gzip|plain BODY       the read phase, for a line `read PID... [/ PID...]...`. Sections: smaps,
#                                            time (of each group of pids), access, uid, facts (stat, cmdline, status,
#                                            oom_score_adj, cgroup, smaps_rollup; then the memory files of the
#                                            cgroups), names, passwd
#                                            If the main thread of a process has ended while others run, its own files
#                                            are empty, and those of a living thread are added: PID/task/TID/NAME
#           BODY BODY                        both phases, for a line `list PID... [/ PID...]...` if the client expects
#                                            these pids: packed together, and without a frame before them, which would
#                                            be one more message
#           NONCE over                       after each of these
#           NONCE stuck PID...               for a line `look SECONDS`, sent during a phase, if a file of these
#                                            processes blocks its reader that long. It stands anywhere in the phase,
#                                            with `NONCE given up` at the end of the phase
#           nothing                          for a line `skip PID...`: their command lines are not read from then on
#           NONCE bye                        for the line `quit`
#           NONCE fail REASON                if the script cannot run; it ends
#   BODY    (NONCE SECTION LF bytes)... NONCE end LF, gzipped or plain; a section before a section `void` is not valid
#
# The readers are grep and tail, GNU's or BusyBox's. Without them the shell reads by itself: one byte at a time, and no
# command lines if its `read` cannot stop at a NUL. exe needs tar. There are no here-documents, because some shells
# write them to /tmp. The shell's builtin echo prints the frames, so the nonce is never among the arguments of a
# process, which other users of the host can see. A fork costs as much as reading ten processes, so functions set a
# variable where $(...) would be usual. sh has no local variables: a function may change any variable of its callers.

# shellcheck disable=SC2317,SC2329 # in the whole file: in_parts calls functions by name

# A login script may have replaced sh by another shell (`exec zsh`). Options, functions and variables may be inherited
# (SHELLOPTS, `export -f`): an inherited noglob, for one, would leave the list empty.
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
# Shells save each descriptor that they redirect as one from 10 on. If the limit is too low, some exit silently.
{ :; } 3<&0 4<&0 5<&0 6<&0 7<&0 8<&0 9<&0 2>&1 || {
    echo "fleetpmap: the account may open too few files at a time (ulimit -n)"
    exit 1
}
unset IFS GLOBIGNORE GREP_OPTIONS TAR_OPTIONS GZIP CDPATH
unset -f awk cd command echo getconf getent grep gzip id kill nice printf read readlink tail tar uname wait 2>/dev/null
nowhere=
[ /proc/self/fd/1 -ef /dev/null ] 2>/dev/null && : "${nowhere:?fleetpmap: the output of the script goes to /dev/null}"

# An inherited exported variable would put its new value, the nonce, into the environment of every child.
unset nonce proc_root
nonce=$1 proc_root=$2
[ "$#" -lt 2 ] || shift 2
wishes=" $* "
LC_ALL=C
PATH=${PATH:+$PATH:}/usr/bin:/bin:/usr/sbin:/sbin
export LC_ALL PATH
newline='
'

# fail REASON: print the frame and exit.
fail() {
    echo "$nonce fail $1"
    exit 1
}

# wished WISH: true if it is among the wishes.
wished() {
    case $wishes in *" $1 "*) ;; *) return 1 ;; esac
}

# word VALUE: sets $word to it if the begin line may hold it, else to nothing.
word() {
    case $1 in
        *[!A-Za-z0-9._+~:-]*) word= ;;
        *) word=$1 ;;
    esac
}

# first_word FILE: sets $word to the first word in it, or to nothing if it cannot be read.
first_word() {
    first=
    [ ! -r "$1" ] || read -r first _ <"$1"
    word "$first"
}

# number_behind KEY FILE: sets $word to the word after the first KEY in it, or to nothing if there is none.
number_behind() {
    word=
    while read -r key value _; do
        if [ "$key" = "$1" ]; then
            word "$value"
            return
        fi
    done 2>/dev/null <"$2"
}

# state_of PLACE: sets $state and $parent by the stat of a PID or PID/task/TID, or to nothing if it cannot be read.
state_of() {
    stat=''
    # A name may hold newlines; what is wanted stands in the last line.
    while IFS= read -r line; do stat=$line; done 2>/dev/null <"$1/stat"
    stat=${stat##*") "}
    state=${stat%% *} parent=${stat#* }
    parent=${parent%% *}
}

# end_below PID: kill all descendants of PID but this shell, even those blocked in a read. They are stopped first, from
# the top down, so that none can start another. They are found in /proc, since a shell without job control has only the
# pids of its own children.
end_below() {
    read -r self _ </proc/self/stat
    parents=$1 doomed=''
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

# children PID: sets $children to the pids of its children.
children() {
    children=
    if [ -e "/proc/$1/task/$1/children" ]; then
        read -r children <"/proc/$1/task/$1/children"
        return
    fi
    for process in /proc/[0-9]*; do
        state_of "$process"
        [ "$parent" != "$1" ] || children="$children ${process#/proc/}"
    done
}

# check CODE: exit if a command was killed or could not start (126 and above). Then the end frame is missing, so that
# partial output cannot pass for a whole body. Lower codes are the command's own: grep and tail return 1 or 2 for a file
# of a process that has exited.
check() {
    [ "$1" -lt 126 ] || exit "$1"
}

# run COMMAND...: run it and check its code.
run() {
    "$@"
    check "$?"
}

# section NAME: print the frame that begins it.
section() {
    echo "$nonce $1"
}

# files NAME PID...: sets $files to PID/NAME... Appending in a loop copies the whole text each time, so for 100 pids and
# more a fork of printf is cheaper.
files() {
    name=$1 files=
    shift
    case $reader:$# in
        sh:* | *:? | *:??) for pid; do files="$files $pid/$name"; done ;;
        *)
            files=$(printf " %s/$name" "$@")
            check "$?"
            ;;
    esac
}

# in_parts LIMIT STEP PID...: call STEP with at most LIMIT pids at a time, since the kernel bounds the length of an
# argument list (to 128 KiB at worst). Words that are not pids or PID/task/TID are dropped.
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

# lines_of BEGINNING NAME PID...: print the lines with this beginning, each after `PID/NAME:`, as grep -H does. So a
# process with a newline in its name cannot pass for two.
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

# stats PID...: print the section stat. Adds pids with a name of 15 bytes to $cut, and possible zombies to $zombies.
# awk drops the fields after the rss, most of the text: the next field is the limit of the rss, nearly always the
# largest number. awk prints those pids on stderr. A second pass over the files would cost more, since opening a file of
# /proc is the most expensive step.
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
            { errors=$(awk "$shorten" $files 2>&1 >&4); } 4>&1
            code=$?
            check "$code"
            if [ "$code" -eq 0 ]; then
                sort_pids
                return
            fi
            # This awk cannot run the program, or it is mawk, which ends when a process exits after its file was opened
            # and before it was read. Begin again with grep.
            section void
            section stat
            ;;
    esac
    # shellcheck disable=SC2086 # a list of paths: split it
    run grep -aHs '' $files
    # shellcheck disable=SC2086 # a list of paths: split it
    errors=$(grep -als -e '^[0-9]* (.\{15\}) ' -e ') Z ' $files)
    check "$?"
    sort_pids
    # grep names both kinds alike, so each may be a zombie.
    zombies="$zombies $cut"
}

# A loop over getline, since the main loop of some awks ends at the first file that cannot be opened.
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

# sort_pids: adds the pids of the lines of $errors that end in ` Z` to $zombies, those of the other lines to $cut.
sort_pids() {
    IFS=$newline
    set -f
    for line in $errors; do
        case $line in
            [0-9]*/*' Z') zombies="$zombies ${line%%/*}" ;;
            [0-9]*/*) cut="$cut ${line%%/*}" ;;
        esac
    done
    set +f
    unset IFS
}

# living_threads PID...: for each zombie with a running thread, adds PID/task/TID of one to $living. Its main thread has
# ended, so only the files of its other threads show the memory.
living_threads() {
    for pid; do
        for task in "$pid"/task/[0-9]*; do
            [ "$task" != "$pid/task/$pid" ] || continue
            state_of "$task"
            case $state in
                '' | [ZX]) ;;
                *)
                    living="$living $task"
                    break
                    ;;
            esac
        done
    done
}

# records NAME... / PLACE...: print these files of each PLACE (a PID, or PID/task/TID), and the files $limits:
# `PLACE/NAME:TEXT` and a NUL.
# A cmdline has NULs between its arguments, so it becomes a record per argument.
records() {
    wanted='' names=''
    while [ "$1" != / ]; do
        names="$names $1"
        shift
    done
    shift
    for each in $names; do
        # Not if the shell reads and its read cannot stop at a NUL.
        [ "$each:$reader$shell_words" != cmdline:sh ] || continue
        files "$each" "$@"
        wanted="$wanted$files"
    done
    wanted="$wanted$limits"
    # Some shells would take the backslash in the name of a cgroup for a pattern's.
    set -f
    # shellcheck disable=SC2086 # a list of paths: split it
    case $reader in
        sh) shell_records $wanted ;;
        *) run grep -azHs '' $wanted ;;
    esac
    set +f
}

# arguments PID...: print the command lines, a record for each argument.
arguments() {
    records cmdline / "$@"
}

# owners PID...: print the Uid line of each, and the passwd lines that name the uids.
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

# effective_uids PID/status:Uid: REAL EFFECTIVE SAVED FILESYSTEM...: adds each effective uid to $uids, once.
effective_uids() {
    while [ "$#" -ge 5 ]; do
        case $uids in *" $3 "*) ;; *) uids="$uids$3 " ;; esac
        shift 5
    done
}

# users: print the passwd lines of $uids. Most stand near the beginning of the file, so the shell reads 100 lines of it,
# and getent is started only for the others.
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

# cgroups PID...: print the section cgroup.
cgroups() {
    section cgroup
    lines_of '' cgroup "$@"
}

# programs PID...: print a tar of the exe links. A target may hold any byte but NUL; an archive gives its length. tar
# leaves out links that it cannot read.
programs() {
    section exe
    files exe "$@"
    # shellcheck disable=SC2086 # words and a list of paths: split them
    run $archiver -cf - $files 2>/dev/null
}

# host_memory: print the section memory: some lines of meminfo, then pressure/memory. The shell reads them, since a fork
# would cost more.
host_memory() {
    section memory
    while read -r key value _; do
        case $key in MemTotal: | MemAvailable: | SwapTotal: | SwapFree:) echo "$key $value" ;; esac
        [ "$key" != SwapFree: ] || break
    done 2>/dev/null <meminfo
    while read -r key value; do echo "$key $value"; done 2>/dev/null <pressure/memory
}

# memory_groups CALL PID...: call CALL for the cgroup that the memory of each process is charged to: that of v1's
# controller `memory`, which stands first, or that of v2. See memory_group.
memory_groups() {
    call=$1 last=''
    shift
    unified=${root}sys/fs/cgroup
    # Beside the hierarchies of v1.
    [ ! -d "$unified/unified" ] || unified=$unified/unified
    case $reader:$# in
        sh:* | *:? | *:1?)
            for pid; do
                while IFS=: read -r _ controllers cgroup; do
                    case ,$controllers, in
                        ,, | *,memory,*)
                            memory_group
                            break
                            ;;
                    esac
                done 2>/dev/null <"$pid/cgroup"
            done
            ;;
        *)
            # Most shells read one byte at a time, so a fork is cheaper.
            files cgroup "$@"
            # shellcheck disable=SC2086 # a list of paths: split it
            lines=$(grep -aHsE '^[0-9]+:(([^:]*,)?memory(,[^:]*)?)?:' $files)
            check "$?"
            IFS=$newline
            set -f
            # shellcheck disable=SC2086 # lines: split them
            set -- $lines
            set +f
            unset IFS
            pid=''
            for line; do
                [ "${line%%/*}" != "$pid" ] || continue
                pid=${line%%/*} cgroup=${line#*:*:*:} controllers=${line%":$cgroup"}
                controllers=${controllers##*:}
                memory_group
            done
            ;;
    esac
}

# memory_group: call $call PART... for the cgroup PART/PART... of the hierarchy with $controllers, if it is another than
# the last one; $top and $group are the directories of the hierarchy and of the cgroup. A path is left out if it goes
# outside of this cgroup namespace (/../), holds a character that the shell would split or expand, or is so long or deep
# that only a user who wants to do harm made it.
memory_group() {
    [ "$controllers:$cgroup" != "$last" ] || return 0
    last=$controllers:$cgroup
    case $cgroup/ in [!/]* | *//?* | */./* | */../* | *[!A-Za-z0-9._@:\\+=,~/-]*) return 0 ;; esac
    top=$unified
    [ ! "$controllers" ] || top=${root}sys/fs/cgroup/memory
    group=$top${cgroup%/}
    IFS=/
    set -f
    # shellcheck disable=SC2086 # parts: split them
    set -- $cgroup
    set +f
    unset IFS
    [ "$#" -gt 33 ] || [ "${#cgroup}" -gt 1000 ] || "$call" "$@"
}

# add_limits PART...: adds the memory files of the cgroup $group, and the limits of its ancestors with what these are
# charged, to $limits, and the ids of containers among the parts to $ids. Neither has anything twice.
add_limits() {
    case $groups in *" $group "*) return 0 ;; esac
    groups="$groups$group "
    add_ids "$@"
    if [ -e "$group/memory.current" ]; then
        ceiling=memory.max usage=memory.current
        set -- current peak max high swap.current swap.max stat events pressure
    elif [ -e "$group/memory.usage_in_bytes" ] && [ ! -e "$group/release_agent" ]; then # that is in a host's root
        ceiling=memory.limit_in_bytes usage=memory.usage_in_bytes
        set -- usage_in_bytes max_usage_in_bytes limit_in_bytes memsw.usage_in_bytes kmem.usage_in_bytes stat \
            oom_control
    else
        return 0
    fi
    if [ "${#limits}" -gt 30000 ]; then
        records /
        limits=''
    fi
    some=" $group/cgroup.procs"
    for file; do some="$some $group/memory.$file"; done
    while [ "$group" != "$top" ]; do
        group=${group%/*}
        case $limited in *" $group "*) break ;; esac
        case $groups in *" $group "*) break ;; esac
        limited="$limited$group "
        some="$some $group/$ceiling $group/$usage"
    done
    limits=$limits$some
}

# add_ids PART...: adds the ids of containers among the parts of a cgroup's path, 64 hexadecimal digits, to $ids.
add_ids() {
    for word; do
        word=${word%.scope}
        word=${word##*[-:]}
        case ${#word}:$word in
            64:*[!0-9a-f]*) ;;
            64:*) case $ids in *" $word "*) ;; *) ids="$ids$word " ;; esac ;;
        esac
    done
}

# container_ids PID...: adds the ids of the containers that they run in to $ids.
container_ids() {
    memory_groups add_ids "$@"
}

# names: print the section names: from the files of docker, podman, containerd and cri-o, the names of the containers
# $ids and of their pods. Only root may read them.
names() {
    [ "$ids" != ' ' ] && [ "$reader" != sh ] || return 0
    storage=${root}var/lib/containers/storage/overlay-containers
    files=''
    [ ! -r "$storage/containers.json" ] || files=$storage/containers.json
    section names
    for id in $ids; do
        for file in "${root}var/lib/docker/containers/$id/config.v2.json" "$storage/$id/userdata/config.json" \
            "${root}run/containerd/io.containerd.runtime.v2.task/"*"/$id/config.json"; do
            [ ! -r "$file" ] || files="$files $file"
        done
        [ "${#files}" -lt 60000 ] || print_names
    done
    [ ! "$files" ] || print_names
}

# print_names: print the lines of $files that have a name.
print_names() {
    kubernetes='io\.kubernetes\.(container\.name|pod\.name|pod\.namespace)'
    cri='io\.kubernetes\.cri\.(container-name|sandbox-name|sandbox-namespace)'
    # shellcheck disable=SC2086 # a list of paths: split it
    run grep -aoHsE -e "\"(Name|nerdctl/name|$kubernetes|$cri)\": *\"[^\"]{1,253}\"" \
        -e '"id": *"[0-9a-f]{64}", *"names": *\["[^"]{1,253}"' $files
    files=''
}

# answering PID...: sets $answering to those that the client has not asked to skip.
answering() {
    answering="$*"
    [ "$skipped" ] || return 0
    answering=''
    for pid; do
        case " $skipped " in *" $pid "*) ;; *) answering="$answering $pid" ;; esac
    done
}

list_all() {
    set -- [0-9]*
    cut='' zombies='' living='' limits=''
    in_parts 2000 stats "$@"
    # shellcheck disable=SC2086 # a list of pids: split it
    living_threads $zombies
    host_memory
    # Even if it stays empty: without the section, the client assumes that command lines cannot be read here.
    [ "$reader$shell_words" = sh ] || section cmdline
    if wished words; then
        answering "$@"
    else
        for pid in $above; do
            case " $cut " in *" $pid "*) ;; *) cut="$cut $pid" ;; esac
        done
        # shellcheck disable=SC2086 # a list of pids: split it
        answering $cut
    fi
    # shellcheck disable=SC2086 # a list of pids: split it
    in_parts 2000 arguments $answering
    if wished uid; then in_parts 2000 owners "$@"; fi
    if wished cgroup; then in_parts 2000 cgroups "$@"; fi
    if wished names; then
        ids=' '
        in_parts 2000 container_ids "$@"
        names
    fi
    # shellcheck disable=SC2086 # a list of places: split it
    if wished exe; then in_parts 2000 programs "$@" $living; fi
    if wished access; then in_parts 2000 openable "$@"; fi
    # shellcheck disable=SC2086 # the same
    if [ "$living" ]; then in_parts 2000 thread_facts $living; fi
}

# openable PID...: print the processes with an smaps that this user cannot open, and why not. If only its main thread
# has ended, a living one's counts: its own can be opened by every user, and is empty.
openable() {
    section access
    for pid; do
        place=$pid
        case "$living " in
            *" $pid/"*)
                place=${living#*" $pid/"}
                place=$pid/${place%% *}
                ;;
        esac
        open "$pid" "$place/smaps"
        [ "$opened" = ok ] || echo "$pid $opened"
    done 2>/dev/null
}

# open PID FILE: sets $opened to ok, denied, unsupported (there is no such file) or gone (there is no such process).
# Only open() shows it: [ -r ] is true for a file of /proc that open() refuses with EACCES.
open() {
    opened=gone
    if { :; } <"$2"; then
        opened=ok
    elif [ -e "$2" ]; then
        opened=denied
    elif [ -e "$1/stat" ]; then
        opened=unsupported
    fi
}

# thread_facts PID/task/TID...: print the section thread.
thread_facts() {
    section thread
    if wished cgroup; then set -- cgroup / "$@"; else set -- / "$@"; fi
    records stat cmdline "$@"
}

# texts PLACE...: print each smaps of a PID or PID/task/TID, with the header that tail -n +1 prints above it. /dev/null
# is in the list, twice, because tail prints no header above a single file: BusyBox counts only those that it can open.
# GNU tail stops at the first file that it cannot read to the end; then it is started again with the files after that.
# It has not come to the end if it has not named the last file, which cannot be there. uutils' tail stops too, without
# a word of where: then what it printed is not valid, and each file is read by a tail of its own.
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
            *) errors=$(tail -n +1 /dev/null /dev/null $files /dev/null/end 2>&1 >&4) ;;
        esac
        check "$?"
        case $errors in
            */dev/null/end*) return ;;
            *"error reading "*) ;;
            *)
                [ "$#" -gt 1 ] || return 0
                section void
                for place; do texts "$place"; done
                return
                ;;
        esac
        # The quotation mark before the name was ` until 2012.
        stopped=${errors##*"error reading "?}
        while [ "$#" -gt 0 ]; do
            place=$1
            shift
            [ "${place%%/*}" != "${stopped%%/*}" ] || break
        done
    done
} 4>&1

# group PID...: print their texts, and add a line to $times: the seconds since boot before and after, and the pid if the
# group has only one.
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

# clock: sets $now to the seconds since boot, with hundredths. date(1) would be a fork.
clock() {
    now=
    [ ! -r uptime ] || read -r now _ <uptime
}

# access PID...: print the result of open() for each. Adds the Uid line of each to $lines, and a living thread of each
# zombie to $living.
access() {
    for process; do
        before=$living
        each_line up_to_uid <"$process/status"
        place=$process
        [ "$living" = "$before" ] || place=${living##* }
        open "$process" "$place/$maps"
        echo "$process $opened"
    done 2>/dev/null
}

# up_to_uid: what access does with each $line of a status; false for the last one that it needs.
up_to_uid() {
    case $line in
        State:?Z*) living_threads "$process" ;;
        Uid:*)
            lines="$lines$newline$process/status:$line"
            return 1
            ;;
    esac
}

# facts PID...: print, after the reading, the sections access, uid and facts: identity, state, memory, cgroups and, with
# rollup, the kernel's own sums of each process; and the memory files of cgroups, of which no part has another's.
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
    memory_groups add_limits "$@"
    # stat comes last, here and below: all that was read before it is of the process that it names.
    # shellcheck disable=SC2086 # one word, or none
    records cmdline status oom_score_adj cgroup $rollup stat / "$@"
    limits=''
    if [ "$living" ]; then
        # shellcheck disable=SC2086 # a list of places: split it
        texts $living
        section facts
        # shellcheck disable=SC2086 # words, and a list of places: split them
        records cmdline status cgroup $rollup stat / $living
        living=''
    fi
}

# read_all PID... [/ PID...]...: print the sections of the read phase.
read_all() {
    times='' these='' uids=' ' now='' living='' limits='' groups=' ' limited=' ' ids=' '
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
    in_parts 500 facts "$@"
    names
    users
    if [ -n "$now" ]; then
        section time
        echo "${times%?}"
    fi
}

# The next four functions read with the shell alone. $text prints a text unchanged: echo may interpret backslashes.
# A read that fails, as of a process that exits once its file has been opened, may leave its variable as it was: what
# stood there would be printed again, in a loop without end. So a variable that is used after that is emptied before.

# each_line CALL: call CALL for each $line of stdin, until it returns false. After each line that it reads, bash seeks
# back to its end, and the kernel makes the text anew: if it has become shorter before that place, as when a process
# wakes up, the next line would lose its beginning. So bash reads all of it at once.
# shellcheck disable=SC3045 # only bash
each_line() {
    if [ "${BASH_VERSION-}" ]; then
        whole=''
        IFS= read -r -d '' whole
        while [ "$whole" ]; do
            line=${whole%%"$newline"*} whole=${whole#"$line"}
            whole=${whole#"$newline"}
            "$1" || return 0
        done
    else
        while IFS= read -r line; do "$1" || return 0; done
    fi
}

# shell_lines FILE...: print the lines that begin with $beginning, as grep -H does. Adds to $cut and $zombies, as stats.
shell_lines() {
    for file; do each_line shell_line <"$file"; done 2>/dev/null
}

# shell_line: what shell_lines does with each $line.
shell_line() {
    case $line in "$beginning"*) $text "$file:$line$newline" ;; esac
    case $line in [0-9]*" ("???????????????") "*) cut="$cut ${file%/*}" ;; esac
    case $file:$line in *"/stat:"*") Z "*) zombies="$zombies ${file%/*}" ;; esac
}

# shell_records FILE...: print each file as records closed by a NUL, as grep -zH does.
# shellcheck disable=SC3045 # only if this shell's read has -d
shell_records() {
    for file; do
        if [ "$shell_words" = x ]; then
            while record='' && IFS= read -r -d '' record || [ -n "$record" ]; do
                $text "$file:$record"
                $nul
            done <"$file"
        else
            head=$file:
            while IFS= read -r line; do
                $text "$head$line$newline"
                head=''
            done <"$file"
            [ "$head" ] || $nul
        fi
    done 2>/dev/null
}

# shell_texts FILE...: print each file after a header, as tail does.
# shellcheck disable=SC3045 # only if this shell's read has -d
shell_texts() {
    $text "==> /dev/null <==$newline"
    for file; do
        { :; } <"$file" || continue
        $text "$newline==> $file <==$newline"
        line=''
        if [ "$shell_words" = x ]; then
            # At once, as in each_line.
            IFS= read -r -d '' line <"$file"
        else
            while line='' && IFS= read -r line; do $text "$line$newline"; done <"$file"
        fi
        $text "$line"
    done 2>/dev/null
}

# body list | read PIDS | both PIDS: print the body of a phase, or of both.
body() {
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

# try NAME PID...: read this file of each in a process of its own; adds PID:READER_PID to $tried.
try() {
    name=$1
    shift
    for pid; do
        case $pid in *[!0-9]*) continue ;; esac
        case " $skipped " in *" $pid "*) continue ;; esac
        [ -e "$pid/$name" ] || continue
        read -r _ <"$pid/$name" >/dev/null 4>/dev/null &
        tried="$tried $pid:$!"
    done
}

# stuck SECONDS list|read|both PID...: print the pids with a file of this phase that blocks its reader that long.
stuck() {
    seconds=$1 phase=$2 tried='' named=''
    shift 2
    [ "$phase" = read ] || try cmdline [0-9]*
    [ "$phase" = list ] || try "$maps" "$@"
    [ "$phase" != read ] || try cmdline "$@"
    sleep "$seconds" >/dev/null 4>/dev/null || return 0
    read -r self _ </proc/self/stat
    for pair in $tried; do
        state_of "/proc/${pair#*:}"
        case $state:$parent in
            [ZX]:*) ;;
            # Another parent: the reader has ended, and its pid went to another process.
            *:"$self")
                kill -KILL "${pair#*:}"
                [ "$named" = "${pair%%:*}" ] || echo "${pair%%:*}"
                named=${pair%%:*}
                ;;
        esac
    done
}

# look SECONDS list|read|both PID...: find out why this phase prints nothing. If a file of some process blocks its
# reader, as when the process's mmap_lock is never released, print the pid and give up the phase: a blocked reader may
# not even die when killed.
look() {
    kill -USR1 "$$"
    pids=$(stuck "$@")
    [ "$pids" ] || return 0
    kill -ALRM "$$"
    end_below "$$"
    # shellcheck disable=SC2086 # a list of pids: split it
    set -- $pids
    # At most 200 fit into the line; the others are found the next time.
    while [ "$#" -gt 200 ]; do shift; done
    echo "$nonce stuck $*" >&4
    exit 0
}

# phase list | read PIDS | both PIDS, where PIDS are PID... [/ PID...]...: run a phase. Meanwhile the client sends only
# `look`, so any other input on the real stdin (fd 3), and above all its end, means stop. gzip of a read phase runs with
# low priority, but the reader does not: it holds the mmap_lock of the process. The phase runs in the background, since
# a signal can interrupt a shell only in `wait`.
phase() {
    [ "$1" = both ] || echo "$nonce $1 $compression"
    case $compression:$1 in
        gzip:list) body "$@" </dev/null 3<&- | gzip -1 -c 3<&- & ;;
        gzip:*) body "$@" </dev/null 3<&- | $nicely gzip -1 -c 3<&- & ;;
        *) body "$@" </dev/null 3<&- & ;;
    esac
    packer=$! looking='' given_up=''
    # The watcher starts last: if a signal arrives while some bash starts a pipeline, bash waits for its children.
    {
        while read -r line seconds; do
            case $line:$seconds in
                look: | look:*[!0-9]*) break ;;
                look:*) look "$seconds" "$@" ;;
                *) break ;;
            esac
        done
        end_below "$$"
    } 4>&1 <&3 >/dev/null 2>&1 &
    watcher=$!
    while
        signalled=''
        wait "$packer"
        code=$?
        [ "$code" -gt 128 ] && [ "$signalled" ] && [ ! "$given_up" ]
    do :; done
    if [ "$given_up" ]; then
        wait "$watcher"
        echo "$nonce given up"
        echo "$nonce over"
        return
    fi
    [ ! "$looking" ] || end_below "$watcher"
    kill -KILL "$watcher" 2>/dev/null
    wait "$watcher" 2>/dev/null
    [ "$code" -eq 0 ] || exit 1
    echo "$nonce over"
}

# choose_tools: sets $reader, $text, $filter, $compression, $nicely and $archiver. BusyBox can be built without any of
# its options, so its grep is tried; GNU grep needs only its name.
choose_tools() {
    version=$(grep -azHs --version 2>&1 </dev/null)
    [ "$?" -ne 126 ] || fail noexec
    case $version in
        *BusyBox*) reader=busybox ;;
        *) reader=gnu ;;
    esac
    case $version in
        *"GNU grep"*) ;;
        *) case $(echo x | grep -azHsc '' 2>/dev/null) in *:1) ;; *) reader='sh' ;; esac ;;
    esac
    for tool in tail printf; do command -v "$tool" >/dev/null 2>&1 || reader='sh'; done
    text='printf %s'
    [ "$reader" != sh ] || choose_builtins
    # Some awks would create a file /dev/stderr if there is none.
    filter=
    if [ -e /dev/stderr ] && command -v awk >/dev/null 2>&1; then filter='awk'; fi
    compression=plain
    if wished gzip && command -v gzip >/dev/null 2>&1; then compression=gzip; fi
    nicely=
    if command -v nice >/dev/null 2>&1; then nicely='nice -n 10'; fi
    if wished exe; then choose_archiver; fi
}

# choose_builtins: sets $text, $nul and $shell_words (x if read can stop at a NUL) for a shell that reads by itself.
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

# choose_archiver: sets $archiver. Without --numeric-owner, GNU tar looks up the name of every owner, possibly over the
# network.
choose_archiver() {
    archiver='tar --numeric-owner --format=gnu'
    $archiver -cf - /dev/null >/dev/null 2>&1 && return
    archiver=tar
    $archiver -cf - /dev/null >/dev/null 2>&1 || fail tar
}

# choose_maps: sets $maps to the file to read of each process. A recorded tree has no `self`: there, pids are tried.
choose_maps() {
    maps=smaps
    wished rollup_only || return 0
    for pid in self [0-9]*; do
        if [ -e "$pid/smaps_rollup" ]; then
            maps=smaps_rollup
            return 0
        fi
    done
}

# above_all PID: sets $above to it and all its ancestors.
above_all() {
    above=
    parent=$1
    while [ "${parent:-0}" -gt 1 ]; do
        above="$above $parent"
        state_of "$parent"
    done
}

# namespace_number: sets $word to the number of the script's pid namespace, or to nothing in a recorded tree.
namespace_number() {
    word=
    [ -r self/ns/pid ] || return 0
    # Since Linux 5.14.
    number_behind ino: self/fdinfo/5 5<self/ns/pid
    [ -z "$word" ] || return 0
    number=$(readlink self/ns/pid 2>/dev/null)
    number=${number#*\[}
    word "${number%]}"
}

# begin: print the first frame.
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
    # read is a builtin, so self is this shell, with its pid in this procfs.
    number_behind Pid: self/status
    probe_pid=$word
    above_all "$probe_pid"
    first_word uptime
    uptime=$word
    namespace_number
    pid_namespace=$word
    word "${LOGNAME:-$USER}"
    echo "$nonce begin 1 uid=$uid kernel=$kernel page_size=${page_size:-4096} boot_id=$boot_id" \
        "pid_namespace=$pid_namespace reader=$reader compression=$compression probe_pid=$probe_pid uptime=$uptime" \
        "user=$word"
}

# answer COMMAND WORDS: execute one line of stdin.
answer() {
    case $1:$2 in
        quit:)
            echo "$nonce bye"
            exit 0
            ;;
        list:*[!0-9/\ ]* | read:*[!0-9/\ ]* | skip:*[!0-9\ ]*) fail request ;;
        # The phase ended before the line arrived.
        look:*) ;;
        skip:*) skipped=$2 ;;
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
    # A recorded tree has no self; it must have a process.
    root=../
    if [ ! -e self ]; then
        set -- [0-9]*
        [ "$1" != '[0-9]*' ] || fail proc_root
        root=''
    fi
    exec 3<&0
    trap 'signalled=1 looking=1' USR1
    trap 'signalled=1 given_up=1' ALRM
    skipped=''
    choose_tools
    choose_maps
    begin
    phase list
    while read -r command words; do
        answer "$command" "$words"
    done
    exit 0
}

# The last line: once main reads stdin, the shell has read all of this script from it.
main
