//! What holds, and who said so: the answer of `--check` and the greater part of `/config`.

use std::fmt;

use super::flag::variable;

/// Every setting, in the order of `--help`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effective(pub Vec<Setting>);

/// One setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The flag without its dashes.
    pub name: &'static str,
    /// The value as it was written; empty when there is none.
    pub value: String,
    /// Who gave it.
    pub origin: SettingOrigin,
}

/// Who gave a setting its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SettingOrigin {
    /// The command line.
    Flag,
    /// The setting's variable.
    Variable,
    /// A fact about the pod.
    Pod,
    /// Nobody.
    Default,
}

impl SettingOrigin {
    /// One word, for documents.
    pub fn as_str(self) -> &'static str {
        match self {
            SettingOrigin::Flag => "flag",
            SettingOrigin::Variable => "variable",
            SettingOrigin::Pod => "pod",
            SettingOrigin::Default => "default",
        }
    }

    /// What the user wrote to set `name`.
    pub(super) fn names(self, name: &str) -> String {
        match self {
            SettingOrigin::Variable => variable(name),
            SettingOrigin::Flag | SettingOrigin::Pod | SettingOrigin::Default => format!("--{name}"),
        }
    }
}

/// A table for people: flag, value, origin.
impl fmt::Display for Effective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name_width = self.0.iter().map(|setting| setting.name.len()).max().unwrap_or(0);
        let value_width = self.0.iter().map(|setting| setting.shown().len()).max().unwrap_or(0);
        for setting in &self.0 {
            let (name, value, origin) = (setting.name, setting.shown(), setting.origin.as_str());
            writeln!(f, "--{name:name_width$}  {value:value_width$}  {origin}")?;
        }
        Ok(())
    }
}

impl Setting {
    fn shown(&self) -> String {
        match self.value.as_str() {
            "" => "–".to_owned(),
            value => value.escape_debug().to_string(),
        }
    }
}

impl Effective {
    /// `{"connect-timeout":{"value":"1s","from":"default"},…}`
    pub fn to_json(&self) -> serde_json::Value {
        let settings = self.0.iter().map(|Setting { name, value, origin }| {
            ((*name).to_owned(), serde_json::json!({ "value": value, "from": origin.as_str() }))
        });
        serde_json::Value::Object(settings.collect())
    }
}
