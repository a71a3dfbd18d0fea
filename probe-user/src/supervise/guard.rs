//! Panics, caught where the work of a part begins and told as one line.
//!
//! The agent has no panics of its own making, but the crates it uses may. The standard library prints
//! a panic as it happens, for a developer; this keeps its words for the line the agent ends with.

use std::{
    any::Any,
    cell::RefCell,
    io,
    panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind, set_hook},
    pin::pin,
    task::Poll,
};

use thiserror::Error;

/// What to do about a panic, or a return that must not be.
pub const REPORT: &str = "this is a bug of nodeprobe: please report it with this line";

/// Why a part, or the agent, could not go on.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Failure {
    #[error("{0}")]
    Error(String),
    #[error("it panicked: {0}")]
    Panic(String),
}

thread_local! {
    /// Where this thread last panicked.
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// From now on a panic is not printed where it happens but told by whoever catches it.
pub fn tell_panics() {
    set_hook(Box::new(note_place));
}

fn note_place(panic: &PanicHookInfo<'_>) {
    let place = panic.location().map(|at| format!("{}:{}", at.file(), at.line()));
    // None is kept while the thread's own variables are taken down.
    let _ = PLACE.try_with(|last| last.replace(place));
}

impl Failure {
    /// The words of a panic, on the thread that panicked with its place.
    #[must_use]
    pub fn of_panic(payload: &(dyn Any + Send)) -> Self {
        let text = payload.downcast_ref::<&str>().copied();
        let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        let mut told = text.unwrap_or("without a word").replace('\n', " ");
        if let Ok(Some(place)) = PLACE.try_with(RefCell::take) {
            told.push_str(" at ");
            told.push_str(&place);
        }
        Self::Panic(told)
    }
}

/// Calls, and makes a panic an error like any other. What was being changed may be half done: only
/// for work whose state nobody uses after it failed.
///
/// # Errors
/// The call's own error, or its panic.
pub fn call<T>(work: impl FnOnce() -> io::Result<T>) -> Result<T, Failure> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(outcome) => outcome.map_err(|error| Failure::Error(error.to_string())),
        Err(payload) => Err(Failure::of_panic(payload.as_ref())),
    }
}

/// [`call`] for a task.
///
/// # Errors
/// The task's own error, or its panic.
pub async fn task<T>(work: impl Future<Output = io::Result<T>>) -> Result<T, Failure> {
    let mut work = pin!(work);
    std::future::poll_fn(|context| {
        match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(outcome)) => {
                Poll::Ready(outcome.map_err(|error| Failure::Error(error.to_string())))
            }
            Err(payload) => Poll::Ready(Err(Failure::of_panic(payload.as_ref()))),
        }
    })
    .await
}
