//! Dates as HTTP headers have them (RFC 9110 §5.6.7).

/// Seconds since 1970-01-01 00:00:00 UTC, of a date in any of the three forms that a recipient has to read. The name of the day is not
/// compared with the date: it could only be wrong.
///
/// `None` for anything else, and for dates before 1970.
pub fn parse(text: &[u8]) -> Option<u64> {
    let text = core::str::from_utf8(text).ok()?;
    let mut words = [""; WORDS_MAX];
    let mut count = 0;
    for word in text.split([' ', ',']).filter(|word| !word.is_empty()) {
        *words.get_mut(count)? = word;
        count += 1;
    }
    match words[..count] {
        // `Sun, 06 Nov 1994 08:49:37 GMT`
        [_, day, month, year, time, "GMT"] => seconds(four_digits(year)?, month, day, time),
        // `Sun Nov  6 08:49:37 1994`
        [_, month, day, time, year] => seconds(four_digits(year)?, month, day, time),
        // `Sunday, 06-Nov-94 08:49:37 GMT`
        [_, date, time, "GMT"] => {
            let (day, rest) = date.split_once('-')?;
            let (month, year) = rest.split_once('-')?;
            seconds(century(number(year, 0..=99)?), month, day, time)
        }
        _ => None,
    }
}

/// The day, its month, its year, the time and the zone, after the name of the day.
const WORDS_MAX: usize = 6;

fn seconds(year: u64, month: &str, day: &str, time: &str) -> Option<u64> {
    let month = 1 + MONTHS.iter().position(|name| *name == month)? as u64;
    let day = number(day, 1..=31)?;
    let days = days(year, month, day).checked_sub(days(1970, 1, 1))?;
    Some(days * 86_400 + second_of_day(time)?)
}

fn second_of_day(time: &str) -> Option<u64> {
    let (hour, rest) = time.split_once(':')?;
    let (minute, second) = rest.split_once(':')?;
    // 60 is a leap second.
    Some(number(hour, 0..=23)? * 3600 + number(minute, 0..=59)? * 60 + number(second, 0..=60)?)
}

/// Days up to a day, from one long ago, by the Gregorian calendar. Years are counted from March, so that the leap day is the last of its
/// year; (153 × month + 2) / 5 days come before each month from March on.
fn days(year: u64, month: u64, day: u64) -> u64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day
}

/// A year of two digits: as POSIX has it, 1969 to 2068.
fn century(year: u64) -> u64 {
    if year < 69 { 2000 + year } else { 1900 + year }
}

fn four_digits(year: &str) -> Option<u64> {
    number(year, 1000..=9999)
}

/// One to four digits.
fn number(text: &str, range: core::ops::RangeInclusive<u64>) -> Option<u64> {
    let digits = (1..=4).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = digits.then(|| text.parse().ok()).flatten()?;
    range.contains(&number).then_some(number)
}

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<u64>) {
        assert_eq!(parse(text.as_bytes()), expected, "{text:?}");
    }

    #[test]
    fn the_three_forms_are_the_same_moment() {
        for text in
            ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"]
        {
            check(text, Some(784_111_777));
        }
    }

    #[test]
    fn the_calendar_is_gregorian() {
        check("Thu, 01 Jan 1970 00:00:00 GMT", Some(0));
        check("Tue, 29 Feb 2000 00:00:00 GMT", Some(951_782_400));
        check("Fri, 01 Mar 2024 12:00:00 GMT", Some(1_709_294_400));
        check("Wed, 31 Dec 2036 23:59:60 GMT", Some(2_114_380_800));
        check("Mon, 01 Mar 2100 00:00:00 GMT", Some(4_107_542_400));
    }

    #[test]
    fn what_is_no_date_is_none() {
        for text in [
            "",
            "120",
            "Sun, 06 Nov 1994 08:49:37",
            "Sun, 06 Nov 1994 08:49:37 CET",
            "Sun, 6 Now 1994 08:49:37 GMT",
            "Sun, 32 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 24:00:00 GMT",
            "Sun, 06 Nov 1994 08:49 GMT",
            "Sun, 06 Nov +994 08:49:37 GMT",
            "Sun, 06 Nov 94 08:49:37 GMT",
            "Wed, 31 Dec 1969 23:59:59 GMT",
            "Sunday, 06-Nov-1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37 GMT and more",
        ] {
            check(text, None);
        }
        assert_eq!(parse(&[0xff]), None);
    }
}
