//! Calico 3.29.0's leak in Rust: `find_host_mtu` opens a route socket, binds it, forgets it.
//! Usage: leaky COUNT

mod dataplane {
    use std::{
        ffi::c_int,
        os::fd::{FromRawFd, OwnedFd},
    };

    unsafe extern "C" {
        fn socket(family: c_int, kind: c_int, protocol: c_int) -> c_int;
        fn bind(socket: c_int, address: *const [u32; 3], length: u32) -> c_int;
    }

    const AF_NETLINK: c_int = 16;
    const SOCK_RAW_CLOEXEC: c_int = 3 | 0o2_000_000;
    const NETLINK_ROUTE: c_int = 0;

    pub struct Dataplane {
        pub forgotten: Vec<OwnedFd>,
    }

    impl Dataplane {
        #[inline(never)]
        pub fn find_host_mtu(&mut self) -> u32 {
            // SAFETY: takes no pointer.
            let number = unsafe { socket(AF_NETLINK, SOCK_RAW_CLOEXEC, NETLINK_ROUTE) };
            assert!(number >= 0, "no socket");
            // SAFETY: a `struct sockaddr_nl` of zeros but the family, and its length.
            assert_eq!(unsafe { bind(number, &[AF_NETLINK as u32, 0, 0], 12) }, 0);
            // SAFETY: it was just made and belongs to nobody.
            self.forgotten.push(unsafe { OwnedFd::from_raw_fd(number) });
            1500
        }

        #[inline(never)]
        pub fn apply(&mut self) {
            assert_eq!(self.find_host_mtu(), 1500);
        }
    }
}

fn main() {
    let count = std::env::args().nth(1).and_then(|count| count.parse().ok()).expect("a count");
    let mut dataplane = dataplane::Dataplane { forgotten: Vec::new() };
    (0..count).for_each(|_: u32| dataplane.apply());
    loop {
        std::thread::park();
    }
}
