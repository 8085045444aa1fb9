//! The calendar, in UTC.

use std::time::{SystemTime, UNIX_EPOCH};

/// A moment as people write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Civil {
    pub(super) year: u64,
    /// 1 is January.
    pub(super) month: u64,
    pub(super) day: u64,
    pub(super) hour: u64,
    pub(super) minute: u64,
    pub(super) second: u64,
    pub(super) millisecond: u32,
}

impl Civil {
    /// Moments before 1970 are taken for its beginning: only a broken clock shows them.
    pub(super) fn of(time: SystemTime) -> Civil {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        let (days, second_of_day) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
        let (year, month, day) = date(days);
        Civil {
            year,
            month,
            day,
            hour: second_of_day / 3600,
            minute: second_of_day / 60 % 60,
            second: second_of_day % 60,
            millisecond: since.subsec_millis(),
        }
    }
}

/// Year, month and day of the day that many days after 1970-01-01, by the Gregorian calendar.
///
/// Years are counted from March, so that the leap day is the last of its year, and in eras of 400, which have
/// all the same number of days. The months from March on have 31, 30, 31, 30, 31 days, and again; (153 ×
/// month + 2) / 5 days come before each.
fn date(days_since_1970: u64) -> (u64, u64, u64) {
    let days = days_since_1970 + DAYS_BEFORE_1970;
    let (era, day_of_era) = (days / DAYS_OF_ERA, days % DAYS_OF_ERA);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

/// 400 × 365 days, and 97 leap days.
const DAYS_OF_ERA: u64 = 146_097;

/// From 0000-03-01 to 1970-01-01.
const DAYS_BEFORE_1970: u64 = 719_468;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn days_have_their_dates() {
        // `date -u -d @$((DAYS * 86400)) +%F`
        for (days, expected) in [
            (0, (1970, 1, 1)),
            (58, (1970, 2, 28)),
            (59, (1970, 3, 1)),
            (11_016, (2000, 2, 29)),
            (11_017, (2000, 3, 1)),
            (20_780, (2026, 11, 23)),
            (47_540, (2100, 2, 28)),
            (47_541, (2100, 3, 1)),
        ] {
            assert_eq!(date(days), expected, "{days}");
        }
    }

    #[test]
    fn every_day_follows_the_one_before() {
        let mut last = date(0);
        for days in 1..200_000 {
            let next = date(days);
            let (year, month, day) = last;
            let follows = [(year, month, day + 1), (year, month + 1, 1), (year + 1, 1, 1)];
            assert!(follows.contains(&next), "{last:?} {next:?}");
            last = next;
        }
    }

    #[test]
    fn a_day_has_its_hours() {
        let civil = Civil::of(UNIX_EPOCH + Duration::from_millis(1_795_407_938_123));
        let Civil { hour, minute, second, millisecond, .. } = civil;
        assert_eq!((hour, minute, second, millisecond), (4, 25, 38, 123));
    }
}
