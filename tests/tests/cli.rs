//! The command line as a user meets it: exit codes, and messages that say what to do.

use std::{
    env, fs,
    process::{Command, Output},
};

use anyhow::{Context, Result};

fn nodeprobe(args: &[&str]) -> Result<Output> {
    let binary = env::var_os("NODEPROBE_BIN")
        .context("NODEPROBE_BIN does not name the built agent: run `cargo xtask test`")?;
    Ok(Command::new(binary).args(args).output()?)
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn the_binary_is_small() -> Result<()> {
    let binary = env::var_os("NODEPROBE_BIN").context("NODEPROBE_BIN is not set")?;
    let bytes = fs::metadata(binary)?.len();
    assert!(bytes < 10 << 20, "{bytes} bytes");
    Ok(())
}

#[test]
fn the_version_tells_the_kernel_programs_too() -> Result<()> {
    let said = String::from_utf8(nodeprobe(&["--version"])?.stdout)?;
    let rest = said.strip_prefix(concat!("nodeprobe ", env!("CARGO_PKG_VERSION"), " ("));
    let (revision, programs) = rest
        .and_then(|rest| rest.trim_end().strip_suffix(')')?.split_once(", kernel programs "))
        .with_context(|| said.clone())?;
    let is_hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    assert!(revision == "unknown" || is_hex(revision), "{said}");
    assert!(programs.len() == 12 && is_hex(programs), "{said}");
    Ok(())
}

#[test]
fn help_has_examples_and_exit_codes() -> Result<()> {
    let all = nodeprobe(&["--help"])?;
    assert!(all.status.success());
    let text = String::from_utf8(all.stdout)?;
    assert!(text.contains("Exit codes:") && text.contains("doctor"), "{text}");
    let run = String::from_utf8(nodeprobe(&["run", "--help"])?.stdout)?;
    assert!(run.contains("Examples:") && run.contains("--rung"), "{run}");
    assert!(run.contains("Exit codes:") && run.contains("/healthz"), "{run}");
    let selftest = String::from_utf8(nodeprobe(&["selftest", "--help"])?.stdout)?;
    assert!(selftest.contains("Examples:") && selftest.contains("Exit codes:"), "{selftest}");
    Ok(())
}

#[test]
fn a_good_configuration_passes() -> Result<()> {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/nodeprobe.toml");
    let output = nodeprobe(&["check-config", file])?;
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    Ok(())
}

#[test]
fn a_bad_configuration_is_exit_2_with_file_line_and_key() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("bad.toml");
    fs::write(&file, "[tc]\n\nwarn_writes = 0\n")?;
    let file = file.to_str().context("a UTF-8 path")?;
    for args in [&["check-config", file][..], &["run", "--config", file]] {
        let output = nodeprobe(args)?;
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        let expected = format!(
            "nodeprobe: {file}:3: tc.warn_writes: 0 is not a whole number from 1 to 10000\n"
        );
        assert_eq!(stderr(&output), expected, "{args:?}");
    }
    Ok(())
}

#[test]
fn wrong_flags_are_exit_2() -> Result<()> {
    for args in [
        &["run", "--rung", "ladder"][..],
        &["run", "--listen", "everywhere"],
        &["run", "-o", "xml"],
        &["run", "--periodic", "0s"],
        &["selftest", "--within", "0s"],
        &["selftest", "--rung", "ladder"],
        &["selftest", "--config", "/nonexistent/nodeprobe.toml"],
        &["walk"],
        &[],
    ] {
        assert_eq!(nodeprobe(args)?.status.code(), Some(2), "{args:?}");
    }
    Ok(())
}

#[test]
fn a_wrong_rung_or_hook_says_what_there_is() -> Result<()> {
    for (rung, there) in [
        ("ladder", "there are fexit, kprobe, tracepoint"),
        ("tc/request=kprobe", "there are tc/requests, "),
        ("tc/xdp=tracepoint", "it has fexit, kprobe"),
    ] {
        for command in ["run", "doctor"] {
            let output = nodeprobe(&[command, "--rung", rung])?;
            assert_eq!(output.status.code(), Some(2), "{command} {rung}");
            assert!(stderr(&output).contains(there), "{}", stderr(&output));
        }
    }
    Ok(())
}

#[test]
fn a_wrong_btf_file_is_exit_2_with_its_name() -> Result<()> {
    let binary = env::var("NODEPROBE_BIN")?;
    let object = env::var("NODEPROBE_BPF_OBJECT")?;
    for (file, wrong) in [
        ("/nowhere/vmlinux", "cannot be read"),
        (concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"), "no BTF magic number"),
        (&binary, "without a section .BTF"),
        (&object, "not the BTF of a kernel"),
    ] {
        for command in ["run", "doctor"] {
            let output = nodeprobe(&[command, "--btf", file])?;
            assert_eq!(output.status.code(), Some(2), "{command} {file}");
            let said = stderr(&output);
            assert!(said.contains(&format!("--btf {file}: ")) && said.contains(wrong), "{said}");
        }
    }
    Ok(())
}

#[test]
fn rules_are_listed_and_explained() -> Result<()> {
    let stdout = |output: Output| String::from_utf8(output.stdout);
    let list = stdout(nodeprobe(&["explain"])?)?;
    assert!(list.contains("fork-failures") && list.contains("netlink-leak"), "{list}");
    let one = stdout(nodeprobe(&["explain", "fork-failures"])?)?;
    assert!(one.contains("fork.failures = 5"), "{one}");
    let unknown = nodeprobe(&["explain", "fork-failure"])?;
    assert_eq!(unknown.status.code(), Some(2));
    assert!(stderr(&unknown).contains("did you mean fork-failures?"), "{}", stderr(&unknown));
    Ok(())
}

#[test]
fn the_manual_page_is_printed() -> Result<()> {
    let page = String::from_utf8(nodeprobe(&["man"])?.stdout)?;
    assert!(page.contains(".TH nodeprobe 8") && page.contains("explain"), "{page}");
    Ok(())
}

#[test]
fn completions_are_printed() -> Result<()> {
    for shell in ["bash", "zsh", "fish"] {
        let output = nodeprobe(&["completions", shell])?;
        assert!(output.status.success(), "{shell}");
        assert!(String::from_utf8(output.stdout)?.contains("check-config"), "{shell}");
    }
    Ok(())
}
