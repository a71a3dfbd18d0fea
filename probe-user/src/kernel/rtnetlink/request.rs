//! A request as rtnetlink takes it: `struct nlmsghdr`, a header of its own, attributes (netlink(7)).

use super::{HEADER, aligned};

/// `NLA_F_NESTED` of include/uapi/linux/netlink.h.
const NESTED: u16 = 1 << 15;

/// A request that is being written.
#[derive(Clone, Debug)]
pub struct Request {
    bytes: Vec<u8>,
}

impl Request {
    /// Begins one: message type, `NLM_F_*` flags, and the header that comes before the attributes.
    #[must_use]
    pub fn new(kind: u16, flags: libc::c_int, header: &[u8]) -> Self {
        let mut bytes = vec![0; HEADER];
        // The flags of netlink.h are 16 bits wide.
        let flags = flags as u16;
        let words = kind.to_ne_bytes().into_iter().chain(flags.to_ne_bytes());
        bytes.iter_mut().skip(4).zip(words).for_each(|(to, from)| *to = from);
        let mut request = Self { bytes };
        request.append(header);
        request
    }

    /// Adds an attribute.
    #[must_use]
    pub fn with(self, kind: u16, value: &[u8]) -> Self {
        self.with_inside(kind, |mut request| {
            request.append(value);
            request
        })
    }

    /// Adds an attribute of text, NUL at its end.
    #[must_use]
    pub fn with_text(self, kind: u16, text: &str) -> Self {
        self.with(kind, &[text.as_bytes(), b"\0"].concat())
    }

    /// Adds an attribute that attributes are in.
    #[must_use]
    pub fn with_nested(self, kind: u16, inside: impl FnOnce(Self) -> Self) -> Self {
        self.with_inside(kind | NESTED, inside)
    }

    /// Adds bytes that are no attribute, such as the header inside of another one.
    #[must_use]
    pub fn with_bytes(mut self, bytes: &[u8]) -> Self {
        self.append(bytes);
        self
    }

    fn with_inside(mut self, kind: u16, inside: impl FnOnce(Self) -> Self) -> Self {
        let at = self.bytes.len();
        self.bytes.extend([0; 4]);
        let mut done = inside(self);
        // It leaves out the bytes that align the next attribute.
        let length = u16::try_from(done.bytes.len() - at).unwrap_or(u16::MAX);
        let head = length.to_ne_bytes().into_iter().chain(kind.to_ne_bytes());
        done.bytes.iter_mut().skip(at).zip(head).for_each(|(to, from)| *to = from);
        done.bytes.resize(aligned(done.bytes.len()), 0);
        done
    }

    fn append(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The bytes to send; answers carry the same sequence number.
    #[must_use]
    pub fn finish(mut self, sequence: u32) -> Vec<u8> {
        let length = u32::try_from(self.bytes.len()).unwrap_or(u32::MAX).to_ne_bytes();
        self.bytes.iter_mut().zip(length).for_each(|(to, from)| *to = from);
        let sequence = sequence.to_ne_bytes();
        self.bytes.iter_mut().skip(8).zip(sequence).for_each(|(to, from)| *to = from);
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::rtnetlink::{Messages, Object, object, padded};

    #[test]
    fn a_request_reads_back_as_it_was_written() {
        let filter = Object {
            ifindex: 7,
            handle: 2,
            parent: 0xffff_fff2,
            info: 3,
            chain: 9,
            ..Object::default()
        };
        let request = Request::new(44, libc::NLM_F_REQUEST | libc::NLM_F_ACK, &filter.header())
            .with_text(1, "bpf")
            .with_nested(2, |inside| inside.with(4, &1u16.to_ne_bytes()).with(5, &[6; 8]))
            .with(11, &9u32.to_ne_bytes())
            .finish(5);
        let message = Messages(&request).next().unwrap();
        assert_eq!((message.kind, message.flags, message.sequence), (44, 5, 5));
        assert_eq!(object(message.payload), Some(Object { kind: padded(b"bpf"), ..filter }));
        assert_eq!(Messages(&request).count(), 1);
        // nlattr: 24 bytes of attributes inside, the length of a short value without its padding.
        let nested = &request[16 + 20 + 8..];
        assert_eq!(nested[..4], [24, 0, 2, 0x80]);
        assert_eq!(nested[4..8], [6, 0, 4, 0]);
        assert_eq!(nested[12..16], [12, 0, 5, 0]);
    }
}
