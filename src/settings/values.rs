//! Single values from flags, environment and file: what is a valid one, and what to say of others.

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::time::Duration;

use crate::error::Error;
use crate::usage;

/// A collection's name in NFC.
///
/// # Errors
/// A usage error for one that is blank, too long, or holds control characters.
pub fn named(collection: String) -> anyhow::Result<String> {
    let fine = !collection.trim().is_empty()
        && collection.chars().count() <= 100
        && !collection.chars().any(char::is_control);
    if !fine {
        return Err(
            usage!("a collection name has 1 to 100 characters and no control characters").into(),
        );
    }
    Ok(crate::text::nfc(&collection))
}

/// A number between two bounds, both included.
pub(super) fn within(
    name: &str,
    value: Option<usize>,
    low: usize,
    high: usize,
) -> anyhow::Result<Option<usize>> {
    match value {
        Some(value) if !(low..=high).contains(&value) => {
            Err(usage!("{name} is {value}, it must be {low} to {high}").into())
        }
        other => Ok(other),
    }
}

/// `2`, `2s`, `500ms`, `1m 30s`: a bare number is seconds.
pub(super) fn duration(name: &str, value: Option<String>) -> anyhow::Result<Option<Duration>> {
    let Some(text) = value else { return Ok(None) };
    let parsed = match text.trim().parse::<f64>() {
        Ok(seconds) => Duration::try_from_secs_f64(seconds).ok(),
        Err(_) => humantime::parse_duration(text.trim()).ok(),
    };
    match parsed {
        Some(duration) if !duration.is_zero() => Ok(Some(duration)),
        _ => Err(usage!("{name}: '{text}' is not a positive time, write 2s, 500ms or 10m").into()),
    }
}

/// Bytes: `1500`, `200kB`, `100 MB`, `2GB`, in powers of 1,000 as `ls` and the summary count them;
/// `MiB` and the like are powers of 1,024.
pub(super) fn size(name: &str, text: &str) -> anyhow::Result<u64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.');
    let (number, unit) = text.split_at(digits.unwrap_or(text.len()));
    let factor: u64 = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" => 1000,
        "m" | "mb" => 1_000_000,
        "g" | "gb" => 1_000_000_000,
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        _ => 0,
    };
    match number.parse::<f64>() {
        Ok(number) if factor > 0 => Ok((number * factor as f64) as u64),
        _ => Err(usage!("{name}: '{text}' is not a size, write 500kB, 100MB or 2GB").into()),
    }
}

/// The service's address without a slash at its end.
pub(super) fn base_url(url: String) -> anyhow::Result<String> {
    let parsed = reqwest::Url::parse(&url)
        .map_err(|error| usage!("STORM_API_URL (or storm_url) is not a URL: {error}"))?;
    if !parsed.username().is_empty() || parsed.password().is_some() {
        return Err(usage!(
            "STORM_API_URL (or storm_url) must not hold a user name or password: the token goes \
             into STORM_API_TOKEN"
        )
        .into());
    }
    if !matches!(parsed.scheme(), "http" | "https") {
        return Err(usage!("STORM_API_URL '{url}' must start with http:// or https://").into());
    }
    Ok(url.trim_end_matches('/').to_owned())
}

/// Parses an address to listen on for clap: `127.0.0.1:8000`, `[::]:8000`, `localhost:8000`.
pub fn parse_addr(text: &str) -> Result<SocketAddr, String> {
    let found = text.to_socket_addrs().ok().and_then(|mut all| all.next());
    found.ok_or_else(|| "write HOST:PORT, such as 127.0.0.1:8000".into())
}

/// A name as a browser sends it: no scheme, no path.
pub(super) fn host(name: String) -> anyhow::Result<String> {
    let fine = !name.is_empty() && !name.contains(|c: char| c == '/' || c.is_whitespace());
    match fine {
        true => Ok(name),
        false => Err(usage!("'{name}' is no name of a host, write docs.example").into()),
    }
}

/// Parses `KEY=VALUE` for clap.
pub fn parse_tag(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => {
            Ok((crate::text::nfc(key.trim()), crate::text::nfc(value.trim())))
        }
        _ => Err("write a tag as key=value".into()),
    }
}

/// Parses `N` or `FROM-TO`, pages from 1, for clap.
pub fn parse_pages(text: &str) -> Result<(u32, u32), String> {
    let (from, to) = text.split_once('-').unwrap_or((text, text));
    match (from.trim().parse(), to.trim().parse()) {
        (Ok(from), Ok(to)) if 1 <= from && from <= to => Ok((from, to)),
        _ => Err("write a page as 3 or a range as 3-7, counting from 1".into()),
    }
}

/// Nanoseconds of a day.
const DAY: i64 = 86_400_000_000_000;

/// From the beginning of the first day until the end of the last, as a filter takes it.
///
/// # Errors
/// A usage error where the first is later than the last.
pub fn between(since: Option<i64>, until: Option<i64>) -> Result<Option<(i64, i64)>, Error> {
    if since.is_none() && until.is_none() {
        return Ok(None);
    }
    let from = since.unwrap_or(i64::MIN);
    let to = until.map_or(i64::MAX, |day| day.saturating_add(DAY));
    match from < to {
        true => Ok(Some((from, to))),
        false => Err(usage!("since is later than until")),
    }
}

/// Midnight (UTC) at the beginning of a day written `2026-03-31`, in nanoseconds since 1970.
pub fn parse_day(text: &str) -> Result<i64, String> {
    let wrong = || format!("'{text}' is not a day, write 2026-03-31");
    let day = humantime::parse_rfc3339_weak(&format!("{} 00:00:00", text.trim()));
    let since = day
        .map_err(|_| wrong())?
        .duration_since(std::time::UNIX_EPOCH);
    let since = since.map_err(|_| wrong())?.as_nanos();
    i64::try_from(since).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        assert_eq!(size("x", "1500").unwrap(), 1500);
        assert_eq!(size("x", "1.5 MB").unwrap(), 1_500_000);
        assert_eq!(size("x", "2gib").unwrap(), 2 << 30);
        for bad in ["", "MB", "-1", "1 pound", "1e3x", "NaN"] {
            assert!(size("x", bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn days_begin_at_midnight() {
        assert_eq!(parse_day("1970-01-02"), Ok(DAY));
        assert_eq!(
            parse_day("2026-03-01").unwrap() - parse_day("2026-02-28").unwrap(),
            DAY
        );
        for bad in [
            "2026-13-01",
            "yesterday",
            "",
            "1960-01-01",
            "2026-03-01T00:00:00Z",
        ] {
            assert!(parse_day(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn pages_and_tags_parse() {
        assert_eq!(parse_pages("3"), Ok((3, 3)));
        assert_eq!(parse_pages("3-7"), Ok((3, 7)));
        assert!(parse_pages("0").is_err() && parse_pages("7-3").is_err());
        assert_eq!(parse_tag("year=2024"), Ok(("year".into(), "2024".into())));
        assert!(parse_tag("=x").is_err() && parse_tag("x").is_err());
    }
}
