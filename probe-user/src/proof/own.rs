//! What a thread of this process did, among all records.

use std::hash::{BuildHasher, Hasher, RandomState};

use crate::event::Comm;

/// A thread of this process, as records name it. They have its ids in the initial pid namespace, and
/// a process in another one cannot know those: the first record with the thread's name tells them. No
/// other thread has that name, as it is made of chance.
pub struct OwnThread {
    comm: Comm,
    /// Process and thread id.
    ids: Option<(u32, u32)>,
}

impl OwnThread {
    /// A name that no other thread has, of what it is for: up to 15 bytes, as the kernel keeps.
    #[must_use]
    pub fn unique_name(purpose: &str) -> String {
        format!("{purpose:.8}-{:06x}", chance())
    }

    /// Gives the calling thread a name (`PR_SET_NAME` of prctl(2)).
    pub fn take_name(name: &str) {
        let comm = Comm::of(name);
        // SAFETY: the kernel reads up to 16 bytes, which `comm` has, its last a NUL.
        unsafe { libc::prctl(libc::PR_SET_NAME, comm.0.as_ptr()) };
    }

    /// The thread with a unique name.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self { comm: Comm::of(name), ids: None }
    }

    /// Whether the thread that a record names is this one. Some kinds of record leave the name out:
    /// they are known by what came before.
    pub fn did(&mut self, tgid: u32, tid: u32, comm: Comm) -> bool {
        if self.ids.is_none() && comm == self.comm {
            self.ids = Some((tgid, tid));
        }
        self.ids == Some((tgid, tid))
    }
}

/// 24 bits of chance.
#[must_use]
pub fn chance() -> u64 {
    // Its keys come from the kernel's randomness.
    RandomState::new().build_hasher().finish() >> 40
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_whole_and_differ() {
        let [one, other] = [(); 2].map(|()| OwnThread::unique_name("selftest"));
        assert!(one.len() == 15 && one != other, "{one} {other}");
    }

    #[test]
    fn a_thread_is_known_by_its_name_once_and_by_its_ids_then() {
        let mut thread = OwnThread::named("canary-000001");
        let (own, none) = (Comm::of("canary-000001"), Comm::default());
        assert!(!thread.did(40, 41, none));
        assert!(thread.did(40, 41, own));
        assert!(thread.did(40, 41, none));
        assert!(!thread.did(40, 42, none));
        assert!(!thread.did(50, 51, own), "whoever read the name and took it");
    }
}
