//! The configuration of `sidecar init`.

use std::collections::BTreeSet;

use clap::{Arg, ArgAction, ArgMatches, Command};
use svc_core::capture::{Capture, CaptureConflict, PodFacts};

use super::flag::{Expected, Flag};
use super::privileges::PRIVILEGES;
use super::settings::{SettingMistakes, SettingsReader, Surroundings};
use super::values::{list, number, optional, port};
use super::verbs::verbs;

/// Everything `sidecar init` can be told, parsed.
#[derive(Clone, Debug)]
pub struct Init {
    /// What is captured, and how.
    pub capture: Capture,
    /// `SIDECAR_*` variables that mean nothing to us.
    pub unknown_variables: Vec<String>,
}

impl Init {
    /// Parses what the command line and the process's surroundings say.
    ///
    /// # Errors
    /// Every mistake there is, in the order of `--help`, and then what does not go together.
    pub fn read(flags: &ArgMatches, surroundings: &Surroundings) -> Result<Init, SettingMistakes> {
        let mut settings = SettingsReader::new(INIT, flags, surroundings);
        let privileges = settings.read(&PRIVILEGES);
        let facts = PodFacts {
            outbound: settings.read(&OUTBOUND_PORT),
            inbound: settings.read(&INBOUND_PORT),
            sidecar_ports: settings.read(&OTHER_PORTS),
            skip_outbound: settings.read(&SKIP_OUTBOUND_PORTS),
            skip_inbound: settings.read(&SKIP_INBOUND_PORTS),
            user: settings.read(&USER),
            privileges,
        };
        let capture = Capture::of(facts);
        for &mistake in capture.as_ref().err().into_iter().flatten() {
            refuse(mistake, &mut settings);
        }
        let (_effective, unknown_variables) = settings.finish(&verbs())?;
        let capture = capture.expect("each mistake was refused, and `finish` told of it");
        Ok(Init { capture, unknown_variables })
    }
}

/// Tells of a mistake where it was made.
fn refuse(mistake: CaptureConflict, settings: &mut SettingsReader<'_>) {
    let expected = mistake.to_string();
    match mistake {
        CaptureConflict::NothingToCapture | CaptureConflict::OutboundTaken => {
            settings.refuse(&OUTBOUND_PORT, expected)
        }
        CaptureConflict::OnePortForBoth | CaptureConflict::InboundTaken => {
            settings.refuse(&INBOUND_PORT, expected)
        }
        CaptureConflict::OwnUnknown | CaptureConflict::OwnIsRoot => settings.refuse(&USER, expected),
    }
}

/// The verb `init` with its flags; its `--help` is the manual.
pub fn init_command() -> Command {
    const HEADING: &str = "Capture";
    let act = |name: &'static str| Arg::new(name).long(name).action(ArgAction::SetTrue);
    Command::new(INIT)
        .about("Write the rules that bring the pod's connections to its sidecar, or remove them")
        .long_about(MANUAL)
        .bin_name("sidecar init")
        .max_term_width(100)
        .arg(PRIVILEGES.arg(HEADING))
        .arg(OUTBOUND_PORT.arg(HEADING))
        .arg(INBOUND_PORT.arg(HEADING))
        .arg(OTHER_PORTS.arg(HEADING))
        .arg(SKIP_OUTBOUND_PORTS.arg(HEADING))
        .arg(SKIP_INBOUND_PORTS.arg(HEADING))
        .arg(USER.arg(HEADING))
        .arg(act(CLEAN).help("Remove what an earlier run wrote, if there is anything, instead"))
        .arg(act(DRY_RUN).help("Print what would be done, as a shell script, and change nothing"))
}

const INIT: &str = "init";

/// The flag that asks for the rules' removal.
pub const CLEAN: &str = "clean";

/// The flag that asks for what would be done.
pub const DRY_RUN: &str = "dry-run";

const OUTBOUND_PORT: Flag<Option<u16>> = Flag {
    name: "outbound-port",
    value: "PORT|off",
    default: "15001",
    help: "The port of `--outbound`, to which the application's connections go; `off`, or 0, leaves them alone",
    parse: port_or_off,
};

const INBOUND_PORT: Flag<Option<u16>> = Flag {
    name: "inbound-port",
    value: "PORT|off",
    default: "15006",
    help: "The port of `--inbound`, to which connections to the pod go; `off`, or 0, leaves them alone",
    parse: port_or_off,
};

const OTHER_PORTS: Flag<BTreeSet<u16>> = Flag {
    name: "sidecar-ports",
    value: "PORTS",
    default: "15002,15020",
    help: "Where else the sidecar listens: its forward proxy, its admin pages, ports of `--inbound-map`. Never captured",
    parse: ports,
};

const SKIP_OUTBOUND_PORTS: Flag<BTreeSet<u16>> = Flag {
    name: "skip-outbound-ports",
    value: "PORTS",
    default: "",
    help: "Ports elsewhere to which the application connects by itself",
    parse: ports,
};

const SKIP_INBOUND_PORTS: Flag<BTreeSet<u16>> = Flag {
    name: "skip-inbound-ports",
    value: "PORTS",
    default: "",
    help: "Ports of the pod at which the application is reached without the sidecar",
    parse: ports,
};

const USER: Flag<Option<u32>> = Flag {
    name: "user",
    value: "UID",
    default: "2102",
    help: "The user that the sidecar runs as, and nothing else in the pod: its connections are not captured",
    parse: |raw| optional(raw, uid),
};

/// A port, or `off`. So is 0: it is nobody's port, and nobody else could know which one "any free port" became.
fn port_or_off(raw: &str) -> Result<Option<u16>, Expected> {
    match raw {
        "off" | "0" => Ok(None),
        raw => port(raw).map(Some).map_err(|_| "a port from 1 to 65535, or `off`".into()),
    }
}

fn ports(raw: &str) -> Result<BTreeSet<u16>, Expected> {
    let ports = optional(raw, |raw| list(raw, port));
    ports
        .map(|ports| ports.unwrap_or_default().into_iter().collect())
        .map_err(|_| "a list of ports from 1 to 65535, such as `3306,6379`".into())
}

fn uid(raw: &str) -> Result<u32, Expected> {
    let id = number::<0, UID_MAX>(raw)?;
    Ok(u32::try_from(id).expect("at most UID_MAX"))
}

/// 2³² − 1 means "no user" to the kernel.
const UID_MAX: usize = 0xffff_fffe;

const MANUAL: &str = "\
Write the rules that bring the pod's connections to its sidecar, or remove them.

Runs once, before the sidecar, with the capability NET_ADMIN, in the pod's network namespace; needs the program `nft` of nftables, and with \
--privileges=transparent `ip` of iproute2. All rules are in the table `inet svcmesh`: no other is touched, and writing them twice is writing them once. Never captured are \
connections within the pod, those of the sidecar, DNS (port 53), link-local addresses and the metadata services of clouds.

Each setting is a flag, else the variable named beside it, else the default. A mistake in any setting ends it with exit code 64 \
after all of them have been named; rules that cannot be written with 1, and the rules of before still hold.";

#[cfg(test)]
mod tests {
    use svc_core::capture::Privileges;

    use super::*;

    fn read(flags: &[&str], variables: &[(&str, &str)]) -> Result<Init, SettingMistakes> {
        let matches = init_command().get_matches_from(std::iter::once(&INIT).chain(flags));
        let variables = variables.iter().map(|&(name, value)| (name.to_owned(), value.to_owned()));
        Init::read(&matches, &Surroundings::new(variables, None))
    }

    #[test]
    fn the_help_is_the_manual() {
        insta::assert_snapshot!(init_command().term_width(100).render_long_help());
    }

    #[test]
    fn every_flag_wrong_is_told_at_once() {
        let names = init_command().get_arguments().map(|arg| arg.get_id().to_string()).collect::<Vec<_>>();
        let names = names.iter().filter(|name| ![CLEAN, DRY_RUN].contains(&name.as_str()));
        let flags: Vec<String> = names.map(|name| format!("--{name}=?!")).collect();
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        insta::assert_snapshot!(read(&flags, &[]).unwrap_err());
    }

    #[test]
    fn settings_that_do_not_go_together_are_told_where_they_were_made() {
        let variables = [("SIDECAR_USER", "0"), ("SIDECAR_INBOUND_PORT", "15020")];
        insta::assert_snapshot!(read(&["--outbound-port=15002"], &variables).unwrap_err());
        insta::assert_snapshot!(read(&["--outbound-port=off", "--inbound-port=0"], &[]).unwrap_err());
        insta::assert_snapshot!(read(&["--inbound-port=15001"], &[]).unwrap_err());
    }

    #[test]
    fn what_the_flags_say_is_what_the_rules_do() {
        let flags = ["--outbound-port=1", "--inbound-port=2", "--skip-inbound-ports=9, 8", "--user=7"];
        let variables = [("SIDECAR_SKIP_OUTBOUND_PORTS", "443,443"), ("SIDECAR_PRIVILEGES", "transparent")];
        let facts = PodFacts {
            outbound: Some(1),
            inbound: Some(2),
            sidecar_ports: [15002, 15020].into(),
            skip_outbound: [443].into(),
            skip_inbound: [8, 9].into(),
            user: Some(7),
            privileges: Privileges::Transparent,
        };
        assert_eq!(Ok(read(&flags, &variables).unwrap().capture), Capture::of(facts));
    }

    #[test]
    fn variables_of_either_verb_worry_nobody() {
        let variables = [("SIDECAR_ADMIN", "off"), ("SIDECAR_SKIP_INBUOND_PORTS", "1")];
        assert_eq!(read(&[], &variables).unwrap().unknown_variables, ["SIDECAR_SKIP_INBUOND_PORTS"]);
    }

    #[test]
    fn a_service_named_sidecar_outbound_sets_no_port() {
        let injected = [("SIDECAR_OUTBOUND_PORT", "tcp://10.0.0.1:80")];
        let init = read(&[], &injected).unwrap();
        assert_eq!(init.capture, read(&[], &[]).unwrap().capture);
        assert_eq!(init.unknown_variables, [""; 0]);
    }

    #[test]
    fn clap_finds_no_fault_with_the_flags() {
        init_command().debug_assert();
    }
}
