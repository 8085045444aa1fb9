//! How much memory, as Kubernetes writes it.

use crate::config::flag::Expected;

/// Bytes, or a number of a unit: `268435456`, `256Mi`, `1G`.
pub(in crate::config) fn size(raw: &str) -> Result<u64, Expected> {
    let digits = raw.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = raw.split_at(digits);
    let unit = UNITS.iter().find(|(name, _)| *name == unit).map(|(_, bytes)| *bytes);
    let bytes = number.parse::<u64>().ok().zip(unit).and_then(|(number, unit)| number.checked_mul(unit));
    let expected = "a size from 1Mi to 1Ti: bytes, or a number of k, M, G, T, Ki, Mi, Gi or Ti";
    bytes.filter(|bytes| (SIZE_MIN..=SIZE_MAX).contains(bytes)).ok_or(expected.into())
}

/// The buffers of a dozen clients.
pub(in crate::config) const SIZE_MIN: u64 = 1 << 20;

/// More than any machine that a sidecar runs on.
pub(in crate::config) const SIZE_MAX: u64 = 1 << 40;

/// The suffixes of a quantity (`resource.Quantity` of Kubernetes), as far as they make whole bytes.
const UNITS: [(&str, u64); 9] = [
    ("", 1),
    ("k", 1000),
    ("M", 1_000_000),
    ("G", 1_000_000_000),
    ("T", 1_000_000_000_000),
    ("Ki", 1 << 10),
    ("Mi", 1 << 20),
    ("Gi", 1 << 30),
    ("Ti", 1 << 40),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_written_as_kubernetes_writes_it() {
        for (raw, bytes) in [
            ("268435456", 256 << 20),
            ("256Mi", 256 << 20),
            ("1024Ki", 1 << 20),
            ("1G", 1_000_000_000),
            ("1500M", 1_500_000_000),
            ("2000k", 2_000_000),
            ("1Ti", 1 << 40),
        ] {
            assert_eq!(size(raw), Ok(bytes), "{raw}");
        }
    }

    #[test]
    fn a_size_has_a_unit_that_is_known_and_stays_in_its_range() {
        for raw in [
            "",
            "0",
            "Mi",
            "1",
            "1023Ki",
            "2Ti",
            "-1Mi",
            "+1Mi",
            "1 Mi",
            "1.5Gi",
            "256MB",
            "256mi",
            "99999999999999999999G",
        ] {
            assert!(size(raw).is_err(), "{raw}");
        }
    }
}
