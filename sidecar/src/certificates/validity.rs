//! When a certificate holds (RFC 5280 §4.1.2.5): a server that shows one which does not is turned away by every client that looks.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::pki_types::CertificateDer;

/// From when and until when, both included, in seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Validity {
    pub(crate) from: i64,
    pub(crate) until: i64,
}

impl Validity {
    /// `None` where it cannot be read.
    pub(crate) fn of(certificate: &CertificateDer<'_>) -> Option<Validity> {
        let mut outer = Der(certificate);
        let mut signed = Der(outer.next(SEQUENCE)?);
        let mut fields = Der(signed.next(SEQUENCE)?);
        let _version = fields.next(VERSION);
        fields.next(INTEGER)?; // the serial number
        fields.next(SEQUENCE)?; // the algorithm of the signature
        fields.next(SEQUENCE)?; // the issuer
        let mut times = Der(fields.next(SEQUENCE)?);
        Some(Validity { from: times.time()?, until: times.time()? })
    }

    /// What is to be said of it at `now`; nothing where it holds for a while.
    pub(crate) fn warning(self, now: i64) -> Option<String> {
        let Validity { from, until } = self;
        if now > until {
            return Some(format!("has expired on {}", Date(until)));
        }
        if now < from {
            return Some(format!("does not hold before {}", Date(from)));
        }
        let days = (until - now) / DAY_SECONDS;
        (days < SOON_DAYS).then(|| format!("expires on {}, in {days} days", Date(until)))
    }

    /// Whether it holds at `now`.
    pub(crate) fn holds(self, now: i64) -> bool {
        (self.from..=self.until).contains(&now)
    }
}

/// Seconds since 1970; before that, none.
pub(crate) fn seconds_since_1970(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// What is left of an encoding (X.690 §8.1).
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    /// The content of the next element, if it is of this type.
    fn next(&mut self, wanted: u8) -> Option<&'a [u8]> {
        let (&tag, rest) = self.0.split_first()?;
        if tag != wanted {
            return None;
        }
        let (&first, mut rest) = rest.split_first()?;
        let mut bytes = usize::from(first);
        if first & LONG != 0 {
            let (length, after) = rest.split_at_checked(usize::from(first & !LONG))?;
            if length.len() > 4 {
                return None; // no certificate has 4 GiB
            }
            bytes = length.iter().fold(0, |bytes, byte| bytes << 8 | usize::from(*byte));
            rest = after;
        }
        let (content, rest) = rest.split_at_checked(bytes)?;
        self.0 = rest;
        Some(content)
    }

    /// A UTCTime, whose years are those from 1950 to 2049, or a GeneralizedTime.
    fn time(&mut self) -> Option<i64> {
        let (text, year_digits) = match self.next(UTC_TIME) {
            Some(text) => (text, 2),
            None => (self.next(GENERALIZED_TIME)?, 4),
        };
        let text = text.strip_suffix(b"Z")?;
        if text.len() != year_digits + 10 || !text.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let (year, rest) = text.split_at(year_digits);
        let year = match number(year) {
            year if year_digits == 4 => year,
            year @ ..50 => 2000 + year,
            year => 1900 + year,
        };
        let [month, day, hour, minute, second] = [0, 2, 4, 6, 8].map(|place| number(&rest[place..place + 2]));
        let is_time =
            (1..=12).contains(&month) && (1..=31).contains(&day) && hour < 24 && minute < 60 && second < 61;
        is_time.then(|| ((days(year, month, day) * 24 + hour) * 60 + minute) * 60 + second)
    }
}

fn number(digits: &[u8]) -> i64 {
    digits.iter().fold(0, |number, digit| number * 10 + i64::from(digit - b'0'))
}

/// From 1970-01-01 to a day of the Gregorian calendar: years begin in March, so that the day that may be missing is their last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// Shown as `2026-11-30`.
struct Date(i64);

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let from_march = self.0.div_euclid(DAY_SECONDS) + 719_468;
        let (era, of_era) = (from_march.div_euclid(146_097), from_march.rem_euclid(146_097));
        let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year + year / 4 - year / 100);
        let month = (5 * of_year + 2) / 153;
        let day = of_year - (153 * month + 2) / 5 + 1;
        let month = (month + 2) % 12 + 1;
        let year = year + era * 400 + i64::from(month <= 2);
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

const SEQUENCE: u8 = 0x30; // X.690 §8.9, constructed
const INTEGER: u8 = 0x02;
const VERSION: u8 = 0xa0; // context-specific, constructed, number 0 (RFC 5280 §4.1)
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const LONG: u8 = 0x80; // X.690 §8.1.3.5

const DAY_SECONDS: i64 = 24 * 60 * 60;

/// Certificates of Let's Encrypt are renewed 30 days before they end; one that has three weeks left has not been.
const SOON_DAYS: i64 = 21;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::certificates::tests::Authority;

    #[test]
    fn days_are_counted_and_shown() {
        for (date, (year, month, day), count) in [
            ("1970-01-01", (1970, 1, 1), 0),
            ("2000-02-29", (2000, 2, 29), 11_016),
            ("2026-11-30", (2026, 11, 30), 20_787),
            ("1969-12-31", (1969, 12, 31), -1),
        ] {
            assert_eq!(days(year, month, day), count, "{date}");
            assert_eq!(Date(count * DAY_SECONDS).to_string(), date);
        }
    }

    #[test]
    fn a_certificate_says_when_it_holds() {
        let (pem, _) = Authority::new().certify(&["a.example"]);
        let certificate = rustls::pki_types::pem::PemObject::from_pem_slice(pem.as_bytes()).unwrap();
        let validity = Validity::of(&certificate).unwrap();
        assert!(validity.from < validity.until, "{validity:?}");
        assert_eq!(validity.warning(validity.from), None);
        assert!(validity.holds(validity.until) && !validity.holds(validity.until + 1));
        assert!(validity.warning(validity.until + 1).unwrap().starts_with("has expired on "));
        assert!(validity.warning(validity.from - 1).unwrap().starts_with("does not hold before "));
        assert!(validity.warning(validity.until - 2 * DAY_SECONDS).unwrap().ends_with("in 2 days"));
    }

    #[test]
    fn what_is_no_certificate_says_nothing() {
        let (pem, _) = Authority::new().certify(&["a.example"]);
        let certificate: CertificateDer<'_> =
            rustls::pki_types::pem::PemObject::from_pem_slice(pem.as_bytes()).unwrap();
        for end in 0..certificate.len() {
            let _ = Validity::of(&CertificateDer::from(&certificate[..end])); // no panic
        }
        assert_eq!(Validity::of(&CertificateDer::from(&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff][..])), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_not(place in 0..400_usize, byte: u8, tail in prop::collection::vec(any::<u8>(), 0..64)) {
            let (pem, _) = Authority::new().certify(&["a.example"]);
            let certificate: CertificateDer<'_> = rustls::pki_types::pem::PemObject::from_pem_slice(pem.as_bytes()).unwrap();
            let mut bytes = certificate.to_vec();
            let place = place % bytes.len();
            bytes[place] = byte;
            let _ = Validity::of(&CertificateDer::from(&*bytes)); // no panic
            let broken = [&bytes[..place], &tail].concat();
            let _ = Validity::of(&CertificateDer::from(&*broken));
            let _ = Validity::of(&CertificateDer::from(&*tail));
        }
    }
}
