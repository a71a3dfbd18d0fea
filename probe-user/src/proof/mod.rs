//! Proof on this very node that detection works: `selftest` plays small incidents and sees their
//! findings arrive, the `canary` of a running agent provokes an event now and then and sees it come
//! through. Both know what is theirs by the thread that did it (`own`).

pub mod canary;
mod own;
pub mod selftest;
