//! A time in which a sink gets nothing handed over: said once when it began, and once when it is over.

use std::time::{Duration, Instant};

use super::{backend::Trouble, queue::Inlet};

/// From this pause on, or after an answer that took as long, it is said: what passes sooner is a
/// reader, or a network, that is slow.
const WORTH_A_WORD: Duration = Duration::from_secs(1);

/// Trouble that goes on, if there is any.
#[derive(Default)]
pub struct Episode(Option<Begun>);

struct Begun {
    at: Instant,
    told: bool,
}

impl Episode {
    /// A try failed, and the next is after a pause.
    pub fn trouble(&mut self, trouble: &Trouble, pause: Duration, inlet: &Inlet) {
        let begun = self.0.get_or_insert(Begun { at: Instant::now(), told: false });
        if pause >= WORTH_A_WORD && !begun.told {
            begun.told = true;
            let (name, waiting, text) = (inlet.name(), inlet.waiting(), &trouble.text);
            log::warn!("{name}: {text}: {waiting} findings wait and are sent when that passes");
        }
    }

    /// A try worked, after `took`.
    pub fn over(&mut self, took: Duration, inlet: &Inlet) {
        let slow = || Begun { at: Instant::now() - took, told: true };
        let begun = self.0.take().or_else(|| (took >= WORTH_A_WORD).then(slow));
        let Some(Begun { at, told: true }) = begun else { return };
        let (name, seconds) = (inlet.name(), at.elapsed().as_secs());
        let (waited, lost) = (inlet.waiting(), inlet.lost());
        log::info!("{name}: works again after {seconds} s; {waited} findings waited, {lost} lost");
    }
}
