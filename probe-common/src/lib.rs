//! Wire types shared by the kernel programs and the agent: no logic, no helpers.
//!
//! Everything that crosses the ring buffer is `repr(C)`, made of fixed-width integers and byte
//! arrays with explicit padding, and starts with a [`wire::Header`]. Sizes and offsets are asserted
//! at compile time here and compared with the built object's BTF by a test.
#![no_std]

pub mod bpf;
pub mod budget;
pub mod counter;
pub mod field;
pub mod firewall;
pub mod fork;
pub mod layout;
pub mod netlink;
pub mod rtnl;
pub mod symbol;
pub mod tc;
pub mod wire;
