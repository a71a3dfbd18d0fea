//! Go's tables of a value for each address of a function: pairs of variable-length numbers, by how
//! much the value changes and after how many instructions (`step` in runtime/symtab.go).

/// The value `into` a function (bytes); instructions are multiples of `quantum` bytes.
#[must_use]
pub fn value_at(table: &[u8], into: u64, quantum: u64) -> Option<i64> {
    let mut bytes = table.iter();
    let (mut value, mut at) = (-1_i64, 0_u64);
    loop {
        let change = number(&mut bytes)?;
        if change == 0 && at != 0 {
            return None;
        }
        value = value.checked_add(signed(change))?;
        at = at.checked_add(number(&mut bytes)?.checked_mul(quantum)?)?;
        if into < at {
            return Some(value);
        }
    }
}

/// Seven bits a byte, the lowest first, the highest bit set in all but the last.
fn number<'a>(bytes: &mut impl Iterator<Item = &'a u8>) -> Option<u64> {
    let mut number = 0;
    for shift in (0..35).step_by(7) {
        let byte = *bytes.next()?;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

/// The sign is in the lowest bit.
fn signed(number: u64) -> i64 {
    let half = i64::try_from(number >> 1).unwrap_or(i64::MAX);
    if number & 1 == 1 { !half } else { half }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_change_where_the_table_says() {
        // From -1: +11 for 4 bytes, -3 for 300, the end.
        let table = [22, 4, 5, 0xac, 2, 0, 0];
        for (into, value) in [(0, 10), (3, 10), (4, 7), (303, 7)] {
            assert_eq!(value_at(&table, into, 1), Some(value), "at {into}");
        }
        assert_eq!(value_at(&table, 304, 1), None, "past the end");
        assert_eq!(value_at(&table[..1], 0, 1), None, "cut off");
        assert_eq!(value_at(&[0xff; 16], 0, 1), None, "no number is that long");
        assert_eq!(value_at(&[22, 1, 0, 0], 3, 4), Some(10), "instructions of 4 bytes");
    }
}
