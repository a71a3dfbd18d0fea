use std::{fs, path::Path};

use super::*;

#[test]
fn every_seed_is_taken() {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds");
    for Target { name, run, .. } in TARGETS {
        let files =
            fs::read_dir(seeds.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        let files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
        assert!(!files.is_empty(), "{name} has no seed");
        for file in files {
            println!("{}", file.display());
            run(&fs::read(file).unwrap());
        }
    }
}

#[test]
fn every_target_takes_nothing_and_little() {
    for Target { run, .. } in TARGETS {
        run(b"");
        run(&[0]);
        run(&[255; 300]);
    }
}
