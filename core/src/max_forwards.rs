//! `Max-Forwards` (RFC 9110 §7.6.2): how many more proxies a TRACE or OPTIONS request may pass.

/// What a request's `Max-Forwards` leaves it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hops {
    /// Any number of further hops: it has none, or is not of the two methods for which it means anything.
    Any,
    /// None: whoever has it answers.
    Spent,
    /// So many after this one.
    Left(u32),
}

/// Not one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MalformedHops;

/// Whether [`hops`] looks at requests of this method.
pub fn is_counted(method: &str) -> bool {
    matches!(method, "OPTIONS" | "TRACE")
}

/// What the values of its `Max-Forwards` headers leave a request of `method`. A number too large for us becomes the largest we have.
///
/// # Errors
/// [`MalformedHops`] when there is more than one, or one that is not made of digits.
pub fn hops<'a>(method: &str, values: impl IntoIterator<Item = &'a [u8]>) -> Result<Hops, MalformedHops> {
    let mut values = values.into_iter();
    let value = match (is_counted(method), values.next(), values.next()) {
        (false, _, _) | (true, None, _) => return Ok(Hops::Any),
        (true, Some(value), None) => value,
        (true, Some(_), Some(_)) => return Err(MalformedHops),
    };
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return Err(MalformedHops);
    }
    let number = value
        .iter()
        .fold(0_u32, |number, digit| number.saturating_mul(10).saturating_add(u32::from(digit - b'0')));
    Ok(number.checked_sub(1).map_or(Hops::Spent, Hops::Left))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_counted_down_to_nothing_for_two_methods() {
        for (method, values, expected) in [
            ("OPTIONS", &[][..], Ok(Hops::Any)),
            ("OPTIONS", &["0"], Ok(Hops::Spent)),
            ("TRACE", &["000"], Ok(Hops::Spent)),
            ("OPTIONS", &["1"], Ok(Hops::Left(0))),
            ("TRACE", &["10"], Ok(Hops::Left(9))),
            ("OPTIONS", &["99999999999999999999999"], Ok(Hops::Left(u32::MAX - 1))),
            ("OPTIONS", &["5", "5"], Err(MalformedHops)),
            ("OPTIONS", &["5, 5"], Err(MalformedHops)),
            ("OPTIONS", &[""], Err(MalformedHops)),
            ("OPTIONS", &["+1"], Err(MalformedHops)),
            ("TRACE", &["-1"], Err(MalformedHops)),
            ("OPTIONS", &["1x"], Err(MalformedHops)),
            ("GET", &["0"], Ok(Hops::Any)),
            ("GET", &["x"], Ok(Hops::Any)),
            ("options", &["0"], Ok(Hops::Any)),
        ] {
            assert_eq!(
                hops(method, values.iter().map(|value| value.as_bytes())),
                expected,
                "{method} {values:?}"
            );
        }
    }
}
