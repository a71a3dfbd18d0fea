//! Fields of kernel structures the programs read.
//!
//! The compiler emits no CO-RE relocations, so the agent looks every field up in the running
//! kernel's BTF and hands the offsets over as a read-only global. This table is both sides' only
//! list: an index here is the index in that global.

use core::fmt;

/// Offset of a field this kernel does not have (or no BTF tells).
pub const MISSING: u32 = u32::MAX;

/// A member of a kernel structure, or a value of a kernel enum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KernelField {
    /// Name of the struct or enum.
    pub container: &'static str,
    /// Member (dotted through nested structs), or name of the enum value.
    pub member: &'static str,
}

impl fmt::Display for KernelField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.container, self.member)
    }
}

macro_rules! fields {
    ($($(#[$doc:meta])* $id:ident: $container:literal . $member:literal,)+) => {
        #[repr(usize)]
        #[allow(non_camel_case_types, clippy::upper_case_acronyms)]
        enum Index { $($id,)+ COUNT }

        $($(#[$doc])* pub const $id: usize = Index::$id as usize;)+

        /// Number of fields.
        pub const COUNT: usize = Index::COUNT as usize;

        /// All fields, in the order of their indices.
        pub const FIELDS: [KernelField; COUNT] =
            [$(KernelField { container: $container, member: $member },)+];
    };
}

fields! {
    /// Network namespace inode.
    NET_NS_INUM: "net"."ns.inum",
    NET_COOKIE: "net"."net_cookie",
    /// Hash of the namespace's interfaces by index.
    NET_DEV_INDEX_HEAD: "net"."dev_index_head",
    NET_DEVICE_INDEX_HLIST: "net_device"."index_hlist",
    NET_DEVICE_IFINDEX: "net_device"."ifindex",
    NET_DEVICE_NAME: "net_device"."name",
    NET_DEVICE_NET: "net_device"."nd_net.net",
    SK_BUFF_SK: "sk_buff"."sk",
    SK_BUFF_DATA: "sk_buff"."data",
    SK_BUFF_LEN: "sk_buff"."len",
    /// `possible_net_t` of a socket.
    SOCK_NET: "sock"."__sk_common.skc_net",
    /// The file of a socket a process owns; NULL for the kernel's own sockets.
    SOCKET_FILE: "socket"."file",
    SOCKET_ALLOC_INODE: "socket_alloc"."vfs_inode",
    INODE_INO: "inode"."i_ino",
    EXT_ACK_MESSAGE: "netlink_ext_ack"."_msg",
    TASK_NSPROXY: "task_struct"."nsproxy",
    NSPROXY_NET: "nsproxy"."net_ns",
    /// Lowest address of the kernel stack; the registers of user space are at its other end.
    TASK_STACK: "task_struct"."stack",
    TASK_REAL_PARENT: "task_struct"."real_parent",
    TASK_GROUP_LEADER: "task_struct"."group_leader",
    TASK_START_BOOTTIME: "task_struct"."start_boottime",
    TASK_SIGNAL: "task_struct"."signal",
    /// Threads of the process that have not begun to exit.
    SIGNAL_LIVE: "signal_struct"."live",
    TASK_TGID: "task_struct"."tgid",
    TASK_COMM: "task_struct"."comm",
    TASK_CGROUPS: "task_struct"."cgroups",
    /// The task's cgroup in the v2 hierarchy.
    CSS_SET_DFL_CGRP: "css_set"."dfl_cgrp",
    CSS_SET_SUBSYS: "css_set"."subsys",
    CSS_CGROUP: "cgroup_subsys_state"."cgroup",
    CSS_PARENT: "cgroup_subsys_state"."parent",
    PIDS_COUNTER: "pids_cgroup"."counter",
    PIDS_LIMIT: "pids_cgroup"."limit",
    CGROUP_KN: "cgroup"."kn",
    KERNFS_NODE_ID: "kernfs_node"."id",
    /// Which slot of `css_set.subsys` belongs to the pids controller.
    PIDS_CGRP_ID: "cgroup_subsys_id"."pids_cgrp_id",
    TASK_CRED: "task_struct"."cred",
    CRED_UID: "cred"."uid",
    CRED_CAP_EFFECTIVE: "cred"."cap_effective",
    SIGNAL_RLIM: "signal_struct"."rlim",
    /// Tasks of a user, before 5.14.
    CRED_USER: "cred"."user",
    USER_PROCESSES: "user_struct"."processes",
    /// Tasks of a user in a user namespace, from 5.14 on.
    CRED_UCOUNTS: "cred"."ucounts",
    UCOUNTS_UCOUNT: "ucounts"."ucount",
    /// Which slot of `ucounts.ucount` counts tasks (5.14 to 5.19).
    UCOUNT_NPROC: "ucount_type"."UCOUNT_RLIMIT_NPROC",
    UCOUNTS_RLIMIT: "ucounts"."rlimit",
    NSPROXY_PID_NS: "nsproxy"."pid_ns_for_children",
    PID_NS_PARENT: "pid_namespace"."parent",
    PID_NS_ALLOCATED: "pid_namespace"."pid_allocated",
    /// A namespace's own `kernel.pid_max`, from 6.14 on.
    PID_NS_MAX: "pid_namespace"."pid_max",
    /// The task that has it, and up to three bits of flags. Real-time kernels have another mutex.
    MUTEX_OWNER: "mutex"."owner",
    TASK_FLAGS: "task_struct"."flags",
    /// The `struct kthread` of a kernel thread, from 5.17 on.
    TASK_WORKER_PRIVATE: "task_struct"."worker_private",
    /// The same before.
    TASK_SET_CHILD_TID: "task_struct"."set_child_tid",
    KTHREAD_DATA: "kthread"."data",
    /// What a kernel worker works for: the workqueue's name unless the work says otherwise.
    WORKER_DESC: "worker"."desc",
    PID_NS_LEVEL: "pid_namespace"."level",
    PID_NS_INUM: "pid_namespace"."ns.inum",
    /// The fd of the cgroup a clone3 with `CLONE_INTO_CGROUP` names.
    CLONE_ARGS_CGROUP: "kernel_clone_args"."cgroup",
    TASK_FILES: "task_struct"."files",
    FILES_FDT: "files_struct"."fdt",
    FDT_MAX_FDS: "fdtable"."max_fds",
    FDT_FD: "fdtable"."fd",
    FILE_DENTRY: "file"."f_path.dentry",
    DENTRY_INODE: "dentry"."d_inode",
    INODE_PRIVATE: "inode"."i_private",
    /// The cgroup behind a directory of cgroupfs.
    KERNFS_NODE_PRIV: "kernfs_node"."priv",
    CGROUP_SELF: "cgroup"."self",
    CGROUP_SUBSYS: "cgroup"."subsys",
    FILE_PRIVATE_DATA: "file"."private_data",
    BPF_PROG_AUX: "bpf_prog"."aux",
    BPF_PROG_TAG: "bpf_prog"."tag",
    BPF_PROG_AUX_ID: "bpf_prog_aux"."id",
    BPF_PROG_AUX_NAME: "bpf_prog_aux"."name",
    /// Back to the program.
    BPF_PROG_AUX_PROG: "bpf_prog_aux"."prog",
    BPF_LINK_ID: "bpf_link"."id",
    BPF_LINK_PROG: "bpf_link"."prog",
    /// `enum bpf_attach_type` of a link, from 6.17 on.
    BPF_LINK_ATTACH_TYPE: "bpf_link"."attach_type",
    XDP_LINK_DEV: "bpf_xdp_link"."dev",
    /// TCX, from 6.6 on.
    TCX_LINK_DEV: "tcx_link"."dev",
    /// `enum bpf_attach_type` of a TCX link, before 6.17.
    TCX_LINK_LOCATION: "tcx_link"."location",
    /// netkit, from 6.7 on.
    NETKIT_LINK_DEV: "netkit_link"."dev",
    /// `enum bpf_attach_type` of a netkit link, before 6.17.
    NETKIT_LINK_LOCATION: "netkit_link"."location",
}

/// Fields that only some kernels have; where one is missing the programs have another way.
pub const OF_SOME_KERNELS: [usize; 13] = [
    NET_COOKIE,
    USER_PROCESSES,
    CRED_UCOUNTS,
    UCOUNTS_UCOUNT,
    UCOUNT_NPROC,
    UCOUNTS_RLIMIT,
    PID_NS_MAX,
    TASK_WORKER_PRIVATE,
    BPF_LINK_ATTACH_TYPE,
    TCX_LINK_DEV,
    TCX_LINK_LOCATION,
    NETKIT_LINK_DEV,
    NETKIT_LINK_LOCATION,
];
