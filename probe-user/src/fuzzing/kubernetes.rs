//! What an API server says, or who says that it is one.

use crate::kubernetes::taken_from;

/// Takes an answer in, as a page of a list and as lines of a watch.
pub fn answer(bytes: &[u8]) {
    let pods = taken_from(bytes);
    assert!(pods.len() <= bytes.len(), "there are pods that nobody told of");
}
