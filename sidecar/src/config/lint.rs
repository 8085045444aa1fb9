//! The configuration of `sidecar lint`.

use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use svc_core::service::Rules;

use super::discovery;
use super::settings::{SettingMistakes, SettingsReader, Surroundings};
use super::verbs::verbs;

/// Everything `sidecar lint` can be told, parsed.
#[derive(Clone, Debug)]
pub struct Lint {
    /// Files and folders; at least one.
    pub paths: Vec<PathBuf>,
    /// What objects are held to.
    pub rules: Rules,
    /// How findings are written.
    pub output: Output,
    /// Whether a warning is a fault too.
    pub strict: bool,
}

/// How findings are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// A line each.
    Text,
    /// One document.
    Json,
}

impl Lint {
    /// Parses what the command line and the process's surroundings say.
    ///
    /// # Errors
    /// Every mistake there is, in the order of `--help`.
    pub fn read(flags: &ArgMatches, surroundings: &Surroundings) -> Result<Lint, SettingMistakes> {
        let mut settings = SettingsReader::new(LINT, flags, surroundings);
        let rules = discovery::read_rules(&mut settings);
        settings.finish(&verbs())?;
        let is_json = flags.get_one::<String>(OUTPUT).is_some_and(|output| output == JSON);
        Ok(Lint {
            paths: flags.get_many(PATHS).into_iter().flatten().cloned().collect(),
            rules,
            output: if is_json { Output::Json } else { Output::Text },
            strict: flags.get_flag(STRICT),
        })
    }
}

/// The verb `lint` with its flags; its `--help` is the manual.
pub fn lint_command() -> Command {
    Command::new(LINT)
        .about("Tell what is wrong with manifests, certificates and tokens, before anything reads them")
        .long_about(MANUAL)
        .bin_name("sidecar lint")
        .max_term_width(100)
        .arg(
            Arg::new(PATHS)
                .value_name("PATH")
                .required(true)
                .num_args(1..)
                .value_parser(value_parser!(PathBuf))
                .help(
                    "Files, folders with all that is below them, or `-` for manifests on the standard input",
                ),
        )
        .arg(
            Arg::new(OUTPUT)
                .short('o')
                .long(OUTPUT)
                .value_name("text|json")
                .value_parser(["text", JSON])
                .default_value("text")
                .hide_default_value(true)
                .hide_possible_values(true)
                .help("A line for each finding, or one JSON document of all\n[default: text]"),
        )
        .arg(
            Arg::new(STRICT)
                .long(STRICT)
                .action(ArgAction::SetTrue)
                .help("Take warnings for faults too: they end it with 1"),
        )
        .args(discovery::rules_args())
}

const LINT: &str = "lint";
const PATHS: &str = "paths";
const OUTPUT: &str = "output";
const JSON: &str = "json";
const STRICT: &str = "strict";

const MANUAL: &str = "\
Tell what is wrong with manifests, certificates and tokens, before anything reads them.

Services, Endpoints, EndpointSlices and Secrets in YAML or JSON are held to the rules of the Kubernetes API server and to those of \
their annotations; objects of other kinds are passed over. Certificates (`.crt`, `.pem`, `.cer`), their keys (`.key`, looked for beside \
a certificate of the same name) and token files (`token`, `*.token`) are looked at too: what is malformed, what does not go together, what has expired or \
soon will. A folder is read with all that is below it, without what starts with a dot.

Each finding is told with its file and line, the object, the field, its value and what was expected. It is an error where an API server, `kubectl` or the \
sidecar refuses something, an unknown field and an expired certificate among them; it is a warning where something is admitted and probably not what was meant: \
a key that is given twice, a port name that the Service does not have, a certificate that ends within 21 days.

Exit codes: 0 without errors (there may be warnings), 1 with any error, 64 where the command is wrong. With --strict warnings count as errors.";

#[cfg(test)]
mod tests {
    use super::*;

    fn read(flags: &[&str], variables: &[(&str, &str)]) -> Result<Lint, SettingMistakes> {
        let matches = lint_command().get_matches_from(std::iter::once(&LINT).chain(flags));
        let variables = variables.iter().map(|&(name, value)| (name.to_owned(), value.to_owned()));
        Lint::read(&matches, &Surroundings::new(variables, None))
    }

    #[test]
    fn the_help_is_the_manual() {
        insta::assert_snapshot!(lint_command().term_width(100).render_long_help());
    }

    #[test]
    fn objects_are_held_to_what_run_would_hold_them_to() {
        let variables = [("SIDECAR_NAMESPACE", "shop"), ("SIDECAR_SERVICE_CIDR", "10.96.0.0/12")];
        let lint = read(&["-o", "json", "--allow-loopback-endpoints", "a.yaml", "b"], &variables).unwrap();
        assert_eq!((lint.output, lint.strict, lint.paths.len()), (Output::Json, false, 2));
        assert_eq!(&*lint.rules.default_namespace, "shop");
        assert!(lint.rules.allow_loopback_endpoints && lint.rules.service_cidrs.len() == 1);
        assert!(read(&["--service-cidr=?!", "a"], &[]).unwrap_err().to_string().contains("--service-cidr"));
    }
}
