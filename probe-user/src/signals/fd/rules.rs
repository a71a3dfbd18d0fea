//! What the fd signal can raise.

use crate::findings::Rule;

pub static LEAK: Rule = Rule {
    name: "fd-leak",
    signal: "fd",
    meaning: "A process opens file descriptors of whatever kind and does not close them: sockets in CLOSE-WAIT, \
              eBPF maps, eventfds, inotify instances, pidfds, deleted files. In the end it reaches its \
              RLIMIT_NOFILE, and nothing can be opened any more.",
    computed: "The open fds of each process are counted every `fd.poll`. It warns when at least `fd.warn_open` are open \
               and their number rose in `fd.rising_percent` of the last `fd.buckets` looks along a line (R² of at least \
               75 %), beyond anything the process came back from before. It is critical when that line reaches 80 % of the \
               soft RLIMIT_NOFILE within 24 hours and at least `fd.breakdown_at` fds, or half of the limit, are open. \
               The same line for all open files of the node is held against fs.file-max. What the fds are is looked up \
               for such processes only, and from a sample where they are very many.",
    keys: &[
        "fd.poll",
        "fd.breakdown_at",
        "fd.warn_open",
        "fd.buckets",
        "fd.rising_percent",
        "fd.hold",
    ],
    false_alarms: "A process that holds many fds, but always as many, is quiet, and so is one whose fds come and go. One that \
                   grows for longer than the history before it falls back (a cache that fills, a garbage collector \
                   that runs once an hour) is taken for a leak the first time; later it must exceed what it came back \
                   from. A server whose load rises for as long looks the same: its kinds tell. fds of a thread with a table of its own \
                   (unshare(CLONE_FILES)) are not counted.",
    advice: "Look at the kind that grows: CLOSE-WAIT is a peer's end that this process never answers with a \
             close; bpf-map, eventfd, inotify and pidfd are handles that are made in a loop; a deleted file is a log that was \
             rotated and not reopened. `ls -l /proc/PID/fd` shows them all. Restart the process to win time.",
};

pub static EXHAUSTED: Rule = Rule {
    name: "fd-exhausted",
    signal: "fd",
    meaning: "A process has (nearly) as many fds open as its soft RLIMIT_NOFILE lets it, so each open, socket, accept, pipe \
              and dup fails with EMFILE; or the whole node has nearly fs.file-max files open, and opens of everybody \
              without CAP_SYS_ADMIN fail with ENFILE.",
    computed: "Open fds of a process of at least `fd.exhausted_percent` of its soft RLIMIT_NOFILE, or open files of the node \
               (/proc/sys/fs/file-nr) of at least `fd.node_percent` of fs.file-max, at one look, every `fd.poll`. The \
               failures themselves are inferred: the kernel function that would tell of them runs at each open of \
               the node and is not hooked.",
    keys: &["fd.poll", "fd.exhausted_percent", "fd.node_percent", "fd.hold"],
    false_alarms: "Limits below 64 are taken for a sandbox's, which means that nothing more is to be opened. A process \
                   that lowered its limit once it had what it needs looks exhausted and is content. A storm of opens \
                   that is over between two looks is not seen.",
    advice: "Raise the limit of the running process with `prlimit --pid PID --nofile=N` (a service's with LimitNOFILE=, \
             the node's with sysctl fs.file-max), then look at what the fds are: `ls -l /proc/PID/fd`. A limit is a \
             remedy only if the number is not still growing.",
};
