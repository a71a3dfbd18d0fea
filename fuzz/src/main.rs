//! libFuzzer around the targets of `probe_user::fuzzing`. `cargo xtask fuzz` builds it, with coverage
//! and `--cfg fuzzing`, and says by the environment which target it is.

#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
mod allocator;

#[cfg(fuzzing)]
mod target {
    use std::sync::OnceLock;

    use libfuzzer_sys::fuzz_target;
    use probe_user::fuzzing::{Target, find};

    static TARGET: OnceLock<&Target> = OnceLock::new();

    fuzz_target!(
        init: {
            let name = std::env::var("NODEPROBE_FUZZ_TARGET").unwrap_or_default();
            match find(&name) {
                Some(target) => drop(TARGET.set(target)),
                None => std::process::exit(2),
            }
        },
        |bytes: &[u8]| {
            if let Some(target) = TARGET.get() {
                (target.run)(bytes);
            }
        }
    );
}

#[cfg(not(fuzzing))]
fn main() {
    eprintln!("built without --cfg fuzzing; use `cargo xtask fuzz`");
}
