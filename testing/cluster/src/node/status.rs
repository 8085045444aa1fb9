//! The status of a pod, from what its containers do.

use k8s_openapi::api::core::v1::{
    ContainerState, ContainerStateRunning, ContainerStateTerminated, ContainerStateWaiting, ContainerStatus,
    HostIP, Pod, PodCondition, PodIP, PodStatus,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;

use super::fields::Place;
use super::order::{self, Kind, Stage};

/// The observed state of one container.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) name: String,
    pub(crate) image: String,
    pub(crate) kind: Kind,
    pub(crate) stage: Stage,
    pub(crate) ready: bool,
    pub(crate) restarts: i32,
    /// Why it waits, where it does.
    pub(crate) waiting: Option<(String, String)>,
    pub(crate) id: Option<String>,
    pub(crate) started: Option<Timestamp>,
    pub(crate) ended: Option<Timestamp>,
    pub(crate) last: Option<ContainerState>,
}

/// The status of a pod at this time. Conditions of others, and times of transitions that did not happen, are kept from `pod`.
pub(crate) fn status(
    pod: &Pod,
    place: &Place,
    known: &[Known],
    ended: Option<bool>,
    now: Timestamp,
) -> PodStatus {
    let before = pod.status.clone().unwrap_or_default();
    let kinds: Vec<Kind> = known.iter().map(|container| container.kind).collect();
    let stages: Vec<Stage> = known.iter().map(|container| container.stage).collect();
    let apps = || known.iter().filter(|container| container.kind == Kind::App);
    let initialized = order::is_initialized(&kinds, &stages);
    let counted = || known.iter().filter(|container| container.kind != Kind::Init);
    let all_ready = ended.is_none() && initialized && counted().all(|container| container.ready);
    let gates = pod.spec.iter().flat_map(|spec| spec.readiness_gates.iter().flatten());
    let is_open = |name: &str| {
        before
            .conditions
            .iter()
            .flatten()
            .any(|condition| condition.type_ == name && condition.status == "True")
    };
    let gates_open = gates.into_iter().all(|gate| is_open(&gate.condition_type));
    let phase = match ended {
        Some(true) => "Succeeded",
        Some(false) => "Failed",
        None if initialized && apps().any(|app| !matches!(app.stage, Stage::New | Stage::Starting)) => {
            "Running"
        }
        None => "Pending",
    };
    let initialized = initialized || ended == Some(true);
    let why = |holds: bool| match ended {
        Some(true) => Some("PodCompleted"),
        Some(false) => Some("PodFailed"),
        None if holds => None,
        None => Some("ContainersNotReady"),
    };
    let conditions = [
        ("PodScheduled", true, None),
        ("Initialized", initialized, (!initialized).then_some("ContainersNotInitialized")),
        ("ContainersReady", all_ready, why(all_ready)),
        ("Ready", all_ready && gates_open, why(all_ready && gates_open)),
    ];
    let own = conditions.map(|(name, holds, reason)| condition(&before, name, holds, reason, now));
    let is_own = |condition: &PodCondition| own.iter().any(|own| own.type_ == condition.type_);
    let others = before.conditions.iter().flatten().filter(|condition| !is_own(condition)).cloned();
    let statuses = |wanted: fn(Kind) -> bool| {
        let statuses: Vec<_> = known
            .iter()
            .filter(|container| wanted(container.kind))
            .map(|container| container.status())
            .collect();
        (!statuses.is_empty()).then_some(statuses)
    };
    PodStatus {
        phase: Some(phase.to_owned()),
        conditions: Some(others.chain(own.clone()).collect()),
        host_ip: Some(place.host_ip.clone()),
        host_ips: Some(vec![HostIP { ip: place.host_ip.clone() }]),
        pod_ip: place.pod_ips.first().cloned(),
        pod_ips: Some(place.pod_ips.iter().map(|ip| PodIP { ip: ip.clone() }).collect()),
        start_time: before.start_time.or(Some(Time(now))),
        init_container_statuses: statuses(|kind| kind != Kind::App),
        container_statuses: statuses(|kind| kind == Kind::App),
        qos_class: before.qos_class,
        ..PodStatus::default()
    }
}

fn condition(
    before: &PodStatus,
    name: &str,
    holds: bool,
    reason: Option<&str>,
    now: Timestamp,
) -> PodCondition {
    let status = if holds { "True" } else { "False" };
    let mut known = before.conditions.iter().flatten();
    let since = known
        .find(|condition| condition.type_ == name && condition.status == status)
        .and_then(|condition| condition.last_transition_time.clone());
    PodCondition {
        type_: name.to_owned(),
        status: status.to_owned(),
        reason: reason.map(str::to_owned),
        last_transition_time: since.or(Some(Time(now))),
        ..PodCondition::default()
    }
}

impl Known {
    fn status(&self) -> ContainerStatus {
        let running = matches!(self.stage, Stage::Running { .. });
        ContainerStatus {
            name: self.name.clone(),
            image: self.image.clone(),
            image_id: self.id.as_ref().map(|_| self.image.clone()).unwrap_or_default(),
            container_id: self.id.as_ref().map(|id| format!("runc://{id}")),
            ready: match self.kind {
                Kind::Init => self.stage == Stage::Ended { code: 0 },
                Kind::Sidecar | Kind::App => running && self.ready,
            },
            started: Some(self.stage == Stage::Running { started: true }),
            restart_count: self.restarts,
            state: Some(self.state()),
            last_state: self.last.clone(),
            ..ContainerStatus::default()
        }
    }

    fn state(&self) -> ContainerState {
        match (self.stage, &self.waiting) {
            (Stage::New | Stage::Starting | Stage::Ended { .. }, Some((reason, message))) => {
                waiting(reason, Some(message.clone()))
            }
            (Stage::New | Stage::Starting, None) => waiting("PodInitializing", None),
            (Stage::Running { .. }, _) => ContainerState {
                running: Some(ContainerStateRunning { started_at: self.started.map(Time) }),
                ..ContainerState::default()
            },
            (Stage::Ended { code }, None) => self.terminated(code),
        }
    }

    /// How its last run ended.
    pub(crate) fn terminated(&self, code: i32) -> ContainerState {
        ContainerState {
            terminated: Some(ContainerStateTerminated {
                exit_code: code,
                reason: Some(if code == 0 { "Completed" } else { "Error" }.to_owned()),
                started_at: self.started.map(Time),
                finished_at: self.ended.map(Time),
                container_id: self.id.as_ref().map(|id| format!("runc://{id}")),
                ..ContainerStateTerminated::default()
            }),
            ..ContainerState::default()
        }
    }
}

fn waiting(reason: &str, message: Option<String>) -> ContainerState {
    ContainerState {
        waiting: Some(ContainerStateWaiting { reason: Some(reason.to_owned()), message }),
        ..ContainerState::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn known(kind: Kind, stage: Stage, ready: bool) -> Known {
        Known {
            name: "c".to_owned(),
            image: "busybox".to_owned(),
            kind,
            stage,
            ready,
            restarts: 0,
            waiting: None,
            id: Some("1".to_owned()),
            started: Some(NOW),
            ended: None,
            last: None,
        }
    }

    fn told(pod: Value, known: &[Known], ended: Option<bool>) -> (String, Vec<String>) {
        let pod: Pod = serde_json::from_value(pod).unwrap();
        let status = status(&pod, &Place::default(), known, ended, NOW);
        let holds = |condition: &PodCondition| condition.status == "True";
        let conditions = status.conditions.iter().flatten().filter(|condition| holds(condition));
        (status.phase.unwrap(), conditions.map(|condition| condition.type_.clone()).collect())
    }

    const UP: Stage = Stage::Running { started: true };

    #[test]
    fn a_pod_is_ready_when_all_its_containers_and_native_sidecars_are() {
        let (phase, conditions) =
            told(json!({}), &[known(Kind::Sidecar, UP, true), known(Kind::App, UP, true)], None);
        assert_eq!(phase, "Running");
        assert_eq!(conditions, ["PodScheduled", "Initialized", "ContainersReady", "Ready"]);
        let (phase, conditions) =
            told(json!({}), &[known(Kind::Sidecar, UP, false), known(Kind::App, UP, true)], None);
        assert_eq!((phase.as_str(), conditions.len()), ("Running", 2));
    }

    #[test]
    fn a_pod_is_pending_while_it_is_initialized() {
        let (phase, conditions) =
            told(json!({}), &[known(Kind::Init, UP, false), known(Kind::App, Stage::New, false)], None);
        assert_eq!((phase.as_str(), conditions), ("Pending", vec!["PodScheduled".to_owned()]));
    }

    #[test]
    fn a_readiness_gate_that_nobody_opened_holds_a_pod_up() {
        let gate = json!({ "containers": [], "readinessGates": [{ "conditionType": "example.org/lb" }] });
        let app = [known(Kind::App, UP, true)];
        let (_, conditions) = told(json!({ "spec": gate.clone() }), &app, None);
        assert!(!conditions.contains(&"Ready".to_owned()));
        let open = json!({ "conditions": [{ "type": "example.org/lb", "status": "True" }] });
        let (_, conditions) = told(json!({ "spec": gate, "status": open }), &app, None);
        assert!(
            conditions.contains(&"Ready".to_owned()) && conditions.contains(&"example.org/lb".to_owned())
        );
    }

    #[test]
    fn a_pod_that_ended_is_not_ready() {
        let ended = [known(Kind::App, Stage::Ended { code: 0 }, false)];
        let (phase, conditions) = told(json!({}), &ended, Some(true));
        assert_eq!((phase.as_str(), conditions.len()), ("Succeeded", 2));
        assert_eq!(told(json!({}), &ended, Some(false)).0, "Failed");
    }

    #[test]
    fn the_time_of_a_condition_is_that_of_its_last_change() {
        let since = "2020-01-01T00:00:00Z";
        let before = json!({ "conditions": [
            { "type": "PodScheduled", "status": "True", "lastTransitionTime": since },
            { "type": "Ready", "status": "False", "lastTransitionTime": since },
        ] });
        let pod: Pod = serde_json::from_value(json!({ "status": before })).unwrap();
        let status = status(&pod, &Place::default(), &[known(Kind::App, UP, true)], None, NOW);
        let time = |name: &str| {
            let mut conditions = status.conditions.iter().flatten();
            conditions
                .find(|condition| condition.type_ == name)
                .unwrap()
                .last_transition_time
                .clone()
                .unwrap()
                .0
        };
        assert_eq!(time("PodScheduled"), since.parse().unwrap());
        assert_eq!(time("Ready"), NOW);
    }
}
