//! Whatever happens to the bytes, what is left of them comes, in order, and what was taken does not
//! come again.

use proptest::{prelude::*, sample::Index};

use super::*;

#[derive(Clone, Copy, Debug)]
enum Harm {
    /// The last segment ends earlier, as after a loss of power.
    Cut,
    /// A byte of a segment is another one.
    Flip(u8),
    FlipInCursor(u8),
    CutCursor,
}

fn harm() -> impl Strategy<Value = Harm> {
    prop_oneof![
        4 => Just(Harm::Cut),
        4 => (1..=255_u8).prop_map(Harm::Flip),
        1 => (1..=255_u8).prop_map(Harm::FlipInCursor),
        1 => Just(Harm::CutCursor),
    ]
}

/// Does it, and tells which file was harmed at which byte.
fn do_harm(dir: &Path, harm: Harm, file: Index, at: Index) -> Option<(String, usize)> {
    let segments = files(dir);
    let name = match harm {
        Harm::Cut => segments.last()?.clone(),
        Harm::Flip(_) if segments.is_empty() => return None,
        Harm::Flip(_) => file.get(&segments).clone(),
        Harm::FlipInCursor(_) | Harm::CutCursor => "cursor".into(),
    };
    let mut bytes = fs::read(dir.join(&name)).unwrap();
    if bytes.is_empty() {
        return None;
    }
    let at = at.index(bytes.len());
    match harm {
        Harm::Cut | Harm::CutCursor => bytes.truncate(at),
        Harm::Flip(with) | Harm::FlipInCursor(with) => bytes[at] ^= with,
    }
    fs::write(dir.join(&name), bytes).unwrap();
    Some((name, at))
}

/// The records of all segments, each with the file and the bytes it is in.
fn stock(dir: &Path) -> Vec<(usize, String, usize, usize)> {
    let mut stock = Vec::new();
    for name in files(dir) {
        let bytes = fs::read(dir.join(&name)).unwrap();
        let contents = segment::read(&bytes, 0);
        assert_eq!(contents.damage, []);
        let head = segment::head(std::time::SystemTime::now()).len();
        let ends: Vec<_> = contents.records.iter().map(|found| found.end as usize).collect();
        let begins = [head].into_iter().chain(ends.clone());
        let numbers = numbers(contents.records.iter().map(|found| &found.record));
        for ((number, begin), end) in numbers.into_iter().zip(begins).zip(ends) {
            stock.push((number, name.clone(), begin, end));
        }
    }
    stock
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn what_is_whole_comes_in_order(
        sizes in prop::collection::vec(prop_oneof![Just(30_usize), 1..100_000_usize], 1..40),
        settled in 1..8_usize,
        taken in any::<Index>(),
        harm in harm(),
        (file, at) in (any::<Index>(), any::<Index>()),
    ) {
        let dir = TempDir::new().unwrap();
        let mut spool = open(dir.path());
        let records: Vec<_> = sizes.iter().enumerate().map(|(n, bytes)| record(n, *bytes)).collect();
        for records in records.chunks(settled) {
            take_in(&mut spool, records.iter().cloned());
        }
        let taken = taken.index(records.len() + 1);
        let mut left = taken;
        while left > 0 {
            let batch = spool.batch(Most { records: left, bytes: 200_000 });
            spool.forget(batch.len());
            left -= batch.len();
        }
        let image = killed(dir.path());
        let stock = stock(image.path());
        let harmed = do_harm(image.path(), harm, file, at);

        let mut spool = open(image.path());
        let waiting = spool.waiting();
        let got = drain(&mut spool);
        prop_assert_eq!(got.len(), waiting);
        prop_assert!(got.is_sorted_by(|a, b| a < b), "in order, and each once: {:?}", got);
        let is_hit = |(_, name, begin, end): &&(usize, String, usize, usize)| match (&harmed, harm) {
            (Some((file, at)), Harm::Cut) => file == name && end > at,
            (Some((file, at)), Harm::Flip(_)) => file == name && (begin..end).contains(&at),
            _ => false,
        };
        let whole = |least: usize| -> Vec<usize> {
            let whole = stock.iter().filter(|stored| !is_hit(stored) && stored.0 >= least);
            whole.map(|(number, ..)| *number).collect()
        };
        let cursor_is_lost = matches!(harm, Harm::FlipInCursor(_) | Harm::CutCursor)
            && harmed.is_some();
        prop_assert_eq!(&got, &whole(if cursor_is_lost { 0 } else { taken }));
        prop_assert_eq!(open(killed(image.path()).path()).waiting(), 0, "all of it was taken");
    }
}
