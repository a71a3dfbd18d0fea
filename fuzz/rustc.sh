#!/bin/sh
# rustc for the workspace's own crates when they are fuzzed (cargo's RUSTC_WORKSPACE_WRAPPER): fast, with
# libFuzzer's coverage (clang.llvm.org/docs/SanitizerCoverage.html), and with overflow and debug assertions as in
# any build of the dev profile. Dependencies are those of `cargo test`, so they are not built anew.
case " $* " in
*" --crate-name build_script_build "*) exec "$@" ;;
esac
exec "$@" --cfg fuzzing -Copt-level=2 -Cdebuginfo=1 \
    -Cpasses=sancov-module \
    -Cllvm-args=-sanitizer-coverage-level=3 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares
