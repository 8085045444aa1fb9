//! One setting: its names, its default, its help, and how its value is read.

use clap::Arg;

pub(super) use svc_proto::values::Expected;

/// A flag `--name`, and the variable `SIDECAR_NAME`, whose value is a `T`.
pub(super) struct Flag<T: 'static> {
    /// The flag without its dashes.
    pub(super) name: &'static str,
    /// What the help calls the value.
    pub(super) value: &'static str,
    /// The value when neither flag nor variable is there; must parse. Empty: nothing.
    pub(super) default: &'static str,
    /// One or two sentences, without the default and the variable, which [`Flag::arg`] adds.
    pub(super) help: &'static str,
    /// Reads a value.
    pub(super) parse: Parser<T>,
}

/// Reads a value, or says what was expected instead.
pub(super) type Parser<T> = fn(&str) -> Result<T, Expected>;

impl<T> Flag<T> {
    /// How clap sees it: a string under this heading.
    pub(super) fn arg(&self, heading: &'static str) -> Arg {
        let default = match self.default {
            "" => String::new(),
            default => format!("[default: {default}] "),
        };
        Arg::new(self.name)
            .long(self.name)
            .value_name(self.value)
            .help(format!("{}\n{default}[env: {}]", self.help, variable(self.name)))
            .help_heading(heading)
    }
}

/// The variable of a flag: `connect-timeout` is `SIDECAR_CONNECT_TIMEOUT`.
pub(super) fn variable(name: &str) -> String {
    format!("{PREFIX}{}", name.replace('-', "_").to_ascii_uppercase())
}

/// What the variables of all settings start with.
pub(super) const PREFIX: &str = "SIDECAR_";
