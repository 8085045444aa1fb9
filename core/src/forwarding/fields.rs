//! The header fields of a request, whatever keeps them.

/// The header fields of a request. Names are in lower case.
pub trait HeaderFields {
    /// The values of one name, in the order in which they came.
    fn values<'f>(&'f self, name: &'f str) -> impl DoubleEndedIterator<Item = &'f [u8]>;

    /// The value of a field that comes once.
    fn only<'f>(&'f self, name: &'f str) -> Option<&'f [u8]> {
        let mut values = self.values(name);
        values.next().filter(|_| values.next().is_none())
    }
}

/// A list, as it came: for the few fields that most requests have, a walk is the fastest look-up.
impl<N: AsRef<str>, V: AsRef<[u8]>> HeaderFields for [(N, V)] {
    fn values<'f>(&'f self, name: &'f str) -> impl DoubleEndedIterator<Item = &'f [u8]> {
        self.iter().filter(move |(known, _)| known.as_ref() == name).map(|(_, value)| value.as_ref())
    }
}
