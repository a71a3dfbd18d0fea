//! Who is connected: so many at once, and when another one comes, who has had its chance goes. A client
//! that sends its request byte by byte, or reads no answer, keeps nobody out.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{Instant, timeout_at},
};

/// Connections served at once. With [`FIRST`] it is how fast a thousand that say nothing are gone through:
/// in three seconds, of the ten that Prometheus waits.
const SEATS: usize = 64;
/// How long a client may stay that has not asked yet, while others wait.
const FIRST: Duration = Duration::from_millis(200);
/// How long one may stay that has asked, while others wait: time to take the answer.
const ASKED: Duration = Duration::from_secs(2);

/// All that are connected.
#[derive(Default)]
pub struct Guests {
    inside: Mutex<Vec<Arc<Guest>>>,
    left: Notify,
}

struct Guest {
    /// Until then nobody takes its place.
    stays: Mutex<Instant>,
    leave: Notify,
}

/// A place of a connection, given back when it is dropped.
pub struct Seat {
    guests: Arc<Guests>,
    guest: Arc<Guest>,
}

impl Guests {
    /// Waits for a place. When all are taken, who stayed longest beyond its time has to leave.
    pub async fn seat(self: &Arc<Self>) -> Seat {
        loop {
            let Some(first) = self.first_to_leave() else {
                let stays = Mutex::new(Instant::now() + FIRST);
                let guest = Arc::new(Guest { stays, leave: Notify::new() });
                lock(&self.inside).push(Arc::clone(&guest));
                return Seat { guests: Arc::clone(self), guest };
            };
            let until = *lock(&first.stays);
            if until <= Instant::now() {
                first.leave.notify_one();
                self.left.notified().await;
            } else {
                // It may have asked meanwhile, or another one have left.
                let _ = timeout_at(until, self.left.notified()).await;
            }
        }
    }

    /// Of all guests, when there is no place any more.
    fn first_to_leave(&self) -> Option<Arc<Guest>> {
        let inside = lock(&self.inside);
        let first = inside.iter().min_by_key(|guest| *lock(&guest.stays));
        first.filter(|_| inside.len() >= SEATS).cloned()
    }
}

impl Seat {
    /// Its client asked for something.
    pub fn asked(&self) {
        *lock(&self.guest.stays) = Instant::now() + ASKED;
    }

    /// Waits until somebody else needs the place.
    pub async fn taken(&self) {
        self.guest.leave.notified().await;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        lock(&self.guests.inside).retain(|guest| !Arc::ptr_eq(guest, &self.guest));
        self.guests.left.notify_one();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use tokio::task::yield_now;

    use super::*;

    async fn full(guests: &Arc<Guests>) -> Vec<Seat> {
        let mut seats = Vec::new();
        for _ in 0..SEATS {
            seats.push(guests.seat().await);
        }
        seats
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_not_asked_in_time_gives_its_place_up() {
        let guests = Arc::<Guests>::default();
        let mut seats = full(&guests).await;
        seats[1..].iter().for_each(Seat::asked);
        let silent = seats.remove(0);
        let leaves = tokio::spawn(async move { silent.taken().await });
        let began = Instant::now();
        let _next = guests.seat().await;
        assert_eq!(began.elapsed(), FIRST, "it had its time");
        leaves.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_leaves_while_nobody_waits() {
        let guests = Arc::<Guests>::default();
        let seats = full(&guests).await;
        tokio::time::advance(10 * ASKED).await;
        let taken = async { seats[0].taken().await };
        assert!(tokio::time::timeout(ASKED, taken).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_place_that_is_given_back_is_taken_at_once() {
        let guests = Arc::<Guests>::default();
        let mut seats = full(&guests).await;
        seats.iter().for_each(Seat::asked);
        let waits = tokio::spawn({
            let guests = Arc::clone(&guests);
            async move { drop(guests.seat().await) }
        });
        yield_now().await;
        let began = Instant::now();
        drop(seats.pop());
        waits.await.unwrap();
        assert_eq!(began.elapsed(), Duration::ZERO);
    }
}
