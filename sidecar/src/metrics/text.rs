//! The page in the format of Prometheus (`text/plain; version=0.0.4`), made of the one in OpenMetrics.

/// Rewrites a page. What differs: a counter's family is named as its samples are, nothing tells the end, and units are not told.
pub(super) fn of_open_metrics(page: &str) -> String {
    let mut text = String::with_capacity(page.len() + page.len() / 64);
    let mut help: Option<(&str, &str)> = None;
    for line in page.lines() {
        if let Some(told) = line.strip_prefix("# HELP ") {
            help = told.split_once(' ');
        } else if let Some((family, kind)) =
            line.strip_prefix("# TYPE ").and_then(|told| told.split_once(' '))
        {
            let (suffix, kind) = match kind {
                "counter" => ("_total", "counter"),
                "info" => ("_info", "gauge"),
                "unknown" => ("", "untyped"),
                other => ("", other),
            };
            if let Some((_, help)) = help.take_if(|(helped, _)| *helped == family) {
                push(&mut text, &["# HELP ", family, suffix, " ", help]);
            }
            push(&mut text, &["# TYPE ", family, suffix, " ", kind]);
        } else if line != "# EOF" && !line.starts_with("# UNIT ") {
            push(&mut text, &[line]);
        }
    }
    text
}

fn push(text: &mut String, parts: &[&str]) {
    parts.iter().for_each(|part| text.push_str(part));
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_is_called_as_its_samples_are_and_the_rest_stays() {
        let page = "# HELP a_requests What came\n# TYPE a_requests counter\n# UNIT a_requests x\na_requests_total{b=\"c\"} 1\n\
                    # HELP a_open Those open\n# TYPE a_open gauge\na_open 2\n\
                    # HELP a_s Time\n# TYPE a_s histogram\na_s_sum 1.5\na_s_count 1\na_s_bucket{le=\"+Inf\"} 1\n# EOF\n";
        let text = "# HELP a_requests_total What came\n# TYPE a_requests_total counter\na_requests_total{b=\"c\"} 1\n\
                    # HELP a_open Those open\n# TYPE a_open gauge\na_open 2\n\
                    # HELP a_s Time\n# TYPE a_s histogram\na_s_sum 1.5\na_s_count 1\na_s_bucket{le=\"+Inf\"} 1\n";
        assert_eq!(of_open_metrics(page), text);
    }
}
