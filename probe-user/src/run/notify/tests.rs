use std::ffi::OsStr;

use super::*;

const SECOND: u64 = 1_000_000_000;

/// A service manager at a path, or with an abstract name, and what tells it.
fn manager(name: &[u8], usec: &str) -> (UnixDatagram, Notifier) {
    let address = match name {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name).unwrap(),
        path => SocketAddr::from_pathname(OsStr::from_bytes(path)).unwrap(),
    };
    let manager = UnixDatagram::bind_addr(&address).unwrap();
    manager.set_nonblocking(true).unwrap();
    (manager, Notifier::open(name, Watchdog::of(Some(usec), None, 1)).unwrap())
}

/// All it was told since it last looked.
fn told(manager: &UnixDatagram) -> Vec<String> {
    let mut buffer = [0; 4_096];
    std::iter::from_fn(|| manager.recv(&mut buffer).ok().map(|bytes| buffer[..bytes].to_vec()))
        .map(|message| String::from_utf8(message).unwrap())
        .collect()
}

#[test]
fn the_manager_is_told_at_a_path_and_at_an_abstract_name() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notify");
    let name = format!("@nodeprobe-notify-{}", process::id());
    for address in [path.as_os_str().as_bytes(), name.as_bytes()] {
        let (manager, mut notifier) = manager(address, "60000000");
        notifier.send(&Notify::Ready("tc=fexit; all covered"));
        notifier.send(&Notify::Stopping);
        let ready = "READY=1\nSTATUS=tc=fexit; all covered\n";
        assert_eq!(told(&manager), [ready, "STOPPING=1\nSTATUS=ending\n"]);
    }
}

#[test]
fn a_reload_is_told_with_its_time() {
    let name = format!("@nodeprobe-reload-{}", process::id());
    let (manager, mut notifier) = manager(name.as_bytes(), "60000000");
    let before = monotonic_usec();
    notifier.send(&Notify::Reloading);
    let told = told(&manager);
    let usec = told[0].strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap().trim_end();
    let usec: u64 = usec.parse().unwrap();
    assert!((before..=monotonic_usec()).contains(&usec), "{told:?}");
}

#[test]
fn pings_come_at_half_of_the_time_and_not_while_a_vital_loop_is_stuck() {
    let name = format!("@nodeprobe-pings-{}", process::id());
    let (manager, mut notifier) = manager(name.as_bytes(), "20000000");
    let stuck = |vital| Stuck { all: vec!["loop"], vital };
    let (mut pinged, mut said) = (Vec::new(), Vec::new());
    for second in 0..100 {
        let now = match second {
            30..50 => stuck(true),
            50..70 => stuck(false),
            _ => Stuck::default(),
        };
        notifier.tick(second * SECOND, &now);
        for message in told(&manager) {
            match message.strip_prefix("STATUS=") {
                Some(status) => said.push(status.to_owned()),
                None => pinged.push((second, message)),
            }
        }
    }
    let seconds: Vec<u64> = pinged.iter().map(|(second, _)| *second).collect();
    assert_eq!(seconds, [0, 10, 20, 50, 60, 70, 80, 90]);
    assert!(pinged.iter().all(|(_, message)| message == "WATCHDOG=1\n"));
    assert_eq!(said, ["stuck: loop; \n", "\n"]);
}

#[test]
fn a_watchdog_is_for_the_process_it_names() {
    let every = |usec, pid| Watchdog::of(usec, pid, 42).map(|watchdog| watchdog.every);
    assert_eq!(every(Some("30000000"), None), Some(Duration::from_secs(15)));
    assert_eq!(every(Some("30000000"), Some("42")), Some(Duration::from_secs(15)));
    assert_eq!(every(Some("30000000"), Some("1")), None);
    for nothing in [None, Some("0"), Some(""), Some("-1"), Some("soon")] {
        assert_eq!(every(nothing, None), None, "{nothing:?}");
    }
}

#[test]
fn a_manager_that_is_gone_or_does_not_read_holds_nobody_up() {
    let name = format!("@nodeprobe-gone-{}", process::id());
    let (manager, mut notifier) = manager(name.as_bytes(), "2000000");
    (0..1_000).for_each(|second| notifier.tick(second * SECOND, &Stuck::default()));
    assert!(notifier.failed, "its queue is full");
    drop(manager);
    notifier.send(&Notify::Stopping);
    assert!(Notifier::open(b"vsock:2:1234", None).is_err());
    assert!(Notifier::open(b"@", None).is_ok());
}
