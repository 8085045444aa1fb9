//! `kubectl svc check`: faults and traps of Services, each with a code and a remedy.

use serde::Serialize;
use svc_core::findings::{self, Code, Finding, Severity};

use crate::args::{CheckArgs, ClusterArgs};
use crate::cluster;
use crate::error::Error;
use crate::objects::{self, Scope};
use crate::output::{Answer, Format, Table, document};

pub(crate) async fn run(args: &ClusterArgs, options: &CheckArgs) -> Result<Answer, Error> {
    let cluster = Box::pin(cluster::connect(args)).await?;
    let namespace = (!options.all_namespaces).then(|| cluster.namespace.clone());
    let scope = Scope { namespace, ..Scope::default() };
    let objects = Box::pin(objects::list(&cluster, &scope)).await?;
    let facts = objects::read(&objects);
    let mut warnings = facts.warnings;
    let pods = match Box::pin(objects::pods(&cluster, &scope)).await {
        Ok(pods) => Some(pods),
        Err(error) => {
            warnings.push(format!("selectors and named target ports are not checked: {error}"));
            None
        }
    };
    let found = findings::find(&findings::Objects {
        services: &objects.services,
        slices: &objects.slices,
        pods: pods.as_deref(),
        table: &facts.table,
    });
    let note = found.is_empty().then(|| format!("No findings in {} Services.", objects.services.len()));
    let has_errors = found.iter().any(|finding| finding.code.severity() == Severity::Error);
    Ok(Answer { text: text(&found, options)?, warnings, note, has_errors })
}

fn text(found: &[Finding], options: &CheckArgs) -> Result<String, Error> {
    match options.output.output {
        Format::Name => {
            Ok(found.iter().map(|finding| format!("service/{}\n", finding.service.name)).collect())
        }
        format @ (Format::Json | Format::Yaml) => document(format, &Document::of(found)),
        format @ (Format::Table | Format::Wide) => {
            Ok(table(found, format == Format::Wide).text(!options.output.no_headers && !found.is_empty()))
        }
    }
}

fn table(found: &[Finding], is_wide: bool) -> Table {
    let mut heads = vec!["SEVERITY", "CODE", "SERVICE", "FINDING"];
    if is_wide {
        heads.push("FIX");
    }
    let mut table = Table::new(heads);
    for finding in found {
        table.row([
            finding.code.severity().as_str().to_owned(),
            finding.code.as_str().to_owned(),
            finding.service.to_string(),
            finding.message.clone(),
            finding.code.fix().to_owned(),
        ]);
    }
    table
}

#[derive(Serialize)]
struct Document<'a> {
    findings: Vec<Described<'a>>,
}

#[derive(Serialize)]
struct Described<'a> {
    code: &'a str,
    severity: &'a str,
    namespace: &'a str,
    name: &'a str,
    message: &'a str,
    why: &'a str,
    fix: &'a str,
}

impl<'a> Document<'a> {
    fn of(found: &'a [Finding]) -> Document<'a> {
        let described = |finding: &'a Finding| {
            let code: Code = finding.code;
            Described {
                code: code.as_str(),
                severity: code.severity().as_str(),
                namespace: &finding.service.namespace,
                name: &finding.service.name,
                message: &finding.message,
                why: code.why(),
                fix: code.fix(),
            }
        };
        Document { findings: found.iter().map(described).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documentation_has_each_code_in_its_words() {
        let documentation = include_str!("../../../docs/findings.md");
        for code in Code::ALL {
            let section = format!(
                "## {}\n\n{} ({})\n\n- Why: {}\n- Fix: {}\n",
                code.as_str(),
                code.title(),
                code.severity().as_str(),
                code.why(),
                code.fix()
            );
            assert!(documentation.contains(&section), "docs/findings.md has no section\n{section}");
        }
        assert_eq!(documentation.matches("\n## SVC").count(), Code::ALL.len());
    }
}
