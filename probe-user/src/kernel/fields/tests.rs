use std::{env, fs};

use super::*;

const RELEASE: &str = "6.1.0-test";

fn refused(bytes: &[u8]) -> String {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), bytes).unwrap();
    let error = Offsets::of_file(file.path(), RELEASE).unwrap_err().to_string();
    assert!(error.starts_with(&format!("--btf {}: ", file.path().display())), "{error}");
    error
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let error = Offsets::of_file(Path::new("/nowhere/vmlinux"), RELEASE).unwrap_err();
    assert!(error.to_string().starts_with("--btf /nowhere/vmlinux: cannot be read"), "{error}");
    assert!(Offsets::of_file(Path::new("/"), RELEASE).is_err(), "a directory");
}

#[test]
fn what_is_no_btf_is_refused_with_what_to_give() {
    for bytes in [&b""[..], b"x", b"not BTF at all"] {
        let error = refused(bytes);
        assert!(error.contains("no BTF magic number") && error.contains(RELEASE), "{error}");
    }
    // A header that promises more types than there are.
    let cut = [0x9f, 0xeb, 1, 0, 24, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0];
    assert!(refused(&cut).contains("damaged or cut short"));
}

#[test]
fn an_elf_file_must_be_whole_and_have_the_section() {
    let own = fs::read(env::current_exe().unwrap()).unwrap();
    assert!(refused(&own).contains("without a section .BTF"));
    assert!(refused(&own[..own.len() / 2]).contains("damaged"));
    assert!(refused(&own[..20]).contains("damaged"));
}

#[test]
fn btf_without_a_task_is_not_of_a_kernel() {
    // No types, and the empty string.
    let empty = [&[0x9f, 0xeb, 1, 0, 24][..], &[0; 15], &[1, 0, 0, 0, 0]].concat();
    assert!(refused(&empty).contains("not the BTF of a kernel"));
}

#[test]
fn a_huge_file_is_not_read_whole() {
    let file = tempfile::NamedTempFile::new().unwrap();
    file.as_file().set_len(1 << 40).unwrap();
    let error = Offsets::of_file(file.path(), RELEASE).unwrap_err().to_string();
    assert!(error.contains("more than any kernel's"), "{error}");
}
