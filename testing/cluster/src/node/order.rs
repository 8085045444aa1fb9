//! Which container of a pod is started next, when the pod has ended, and in which order containers are stopped.

/// What a container is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Runs to its end before the next one starts.
    Init,
    /// An init container with `restartPolicy: Always`: runs as long as the pod does.
    Sidecar,
    /// One of `spec.containers`.
    App,
}

/// `spec.restartPolicy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RestartPolicy {
    Always,
    OnFailure,
    Never,
}

/// Where a container is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Never started.
    New,
    /// Asked to start, and its postStart hook has not ended.
    Starting,
    /// It runs; `started` once its startup probe, if any, has succeeded.
    Running { started: bool },
    /// It has ended with this exit code.
    Ended { code: i32 },
}

/// What follows from the stages of all containers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Step {
    /// Containers to start now.
    pub(crate) start: Vec<usize>,
    /// The pod has ended, for good: whether it succeeded. Its native sidecars are to be stopped.
    pub(crate) ended: Option<bool>,
}

/// The next step of a pod that is not being terminated. Containers stand in the order of the pod, init containers first.
pub(crate) fn next(policy: RestartPolicy, kinds: &[Kind], stages: &[Stage]) -> Step {
    let mut step = Step::default();
    if let Some(succeeded) = ended(policy, kinds, stages) {
        step.ended = Some(succeeded);
        return step;
    }
    for (index, (&kind, &stage)) in kinds.iter().zip(stages).enumerate() {
        if may_start(policy, kind, stage) {
            step.start.push(index);
        }
        if !is_passed(kind, stage) {
            break;
        }
    }
    step
}

/// Whether all init containers have done their part.
pub(crate) fn is_initialized(kinds: &[Kind], stages: &[Stage]) -> bool {
    let mut all = kinds.iter().zip(stages);
    all.all(|(&kind, &stage)| match kind {
        Kind::Init => stage == Stage::Ended { code: 0 },
        Kind::Sidecar => !matches!(stage, Stage::New | Stage::Starting | Stage::Running { started: false }),
        Kind::App => true,
    })
}

/// The containers that must have ended before `index` gets its SIGTERM (KEP-753): none for an application container; for a native sidecar
/// those that were started after it, so that sidecars end in the reverse order of their start.
pub(crate) fn stops_after(kinds: &[Kind], index: usize) -> std::ops::Range<usize> {
    match kinds[index] {
        Kind::Init | Kind::App => index..index,
        Kind::Sidecar => index + 1..kinds.len(),
    }
}

/// Whether a pod has ended for good: all application containers have and stay so, or an init container has failed for good.
fn ended(policy: RestartPolicy, kinds: &[Kind], stages: &[Stage]) -> Option<bool> {
    let failed_for_good = |(&kind, &stage): (&Kind, &Stage)| {
        kind == Kind::Init
            && policy == RestartPolicy::Never
            && matches!(stage, Stage::Ended { code } if code != 0)
    };
    if kinds.iter().zip(stages).any(failed_for_good) {
        return Some(false);
    }
    let mut succeeded = true;
    for (&kind, &stage) in kinds.iter().zip(stages).filter(|(kind, _)| **kind == Kind::App) {
        match stage {
            Stage::Ended { code } if !may_start(policy, kind, stage) => succeeded &= code == 0,
            Stage::New | Stage::Starting | Stage::Running { .. } | Stage::Ended { .. } => return None,
        }
    }
    Some(succeeded)
}

fn may_start(policy: RestartPolicy, kind: Kind, stage: Stage) -> bool {
    match stage {
        Stage::New => true,
        Stage::Starting | Stage::Running { .. } => false,
        Stage::Ended { code } => match (kind, policy) {
            (Kind::Sidecar, _) | (Kind::App, RestartPolicy::Always) => true,
            (Kind::App, RestartPolicy::OnFailure)
            | (Kind::Init, RestartPolicy::Always | RestartPolicy::OnFailure) => code != 0,
            (Kind::App | Kind::Init, RestartPolicy::Never) => false,
        },
    }
}

/// Whether the containers after this one need not wait for it. Application containers wait only for each other's postStart hooks. A sidecar
/// that ended after its start does not hold up the others: it is started again beside them.
fn is_passed(kind: Kind, stage: Stage) -> bool {
    match kind {
        Kind::Init => stage == Stage::Ended { code: 0 },
        Kind::Sidecar => matches!(stage, Stage::Running { started: true } | Stage::Ended { .. }),
        Kind::App => !matches!(stage, Stage::New | Stage::Starting),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Kind::{App, Init, Sidecar};
    use Stage::{Ended, New, Running, Starting};

    const UP: Stage = Running { started: true };
    const SLOW: Stage = Running { started: false };
    const DONE: Stage = Ended { code: 0 };
    const FAILED: Stage = Ended { code: 1 };

    #[track_caller]
    fn starts(policy: RestartPolicy, kinds: &[Kind], stages: &[Stage], expected: &[usize]) {
        let step = next(policy, kinds, stages);
        assert_eq!((step.start.as_slice(), step.ended), (expected, None), "{stages:?}");
    }

    #[track_caller]
    fn ends(policy: RestartPolicy, kinds: &[Kind], stages: &[Stage], succeeded: bool) {
        assert_eq!(next(policy, kinds, stages), Step { start: vec![], ended: Some(succeeded) }, "{stages:?}");
    }

    #[test]
    fn init_containers_run_one_after_the_other_and_then_the_application() {
        let kinds = [Init, Init, App];
        let policy = RestartPolicy::Always;
        starts(policy, &kinds, &[New, New, New], &[0]);
        starts(policy, &kinds, &[UP, New, New], &[]);
        starts(policy, &kinds, &[DONE, New, New], &[1]);
        starts(policy, &kinds, &[DONE, DONE, New], &[2]);
    }

    #[test]
    fn what_follows_a_native_sidecar_waits_for_its_startup_probe_and_not_for_its_end() {
        let kinds = [Sidecar, Init, App];
        let policy = RestartPolicy::Never;
        starts(policy, &kinds, &[SLOW, New, New], &[]);
        starts(policy, &kinds, &[UP, New, New], &[1]);
        starts(policy, &kinds, &[UP, DONE, New], &[2]);
    }

    #[test]
    fn a_native_sidecar_that_ended_is_started_again_under_any_policy_while_the_application_goes_on() {
        starts(RestartPolicy::Never, &[Sidecar, App], &[DONE, UP], &[0]);
        starts(RestartPolicy::Always, &[Sidecar, App], &[FAILED, UP], &[0]);
    }

    #[test]
    fn an_application_container_waits_for_the_post_start_hook_of_the_one_before() {
        starts(RestartPolicy::Always, &[App, App], &[Starting, New], &[]);
        starts(RestartPolicy::Always, &[App, App], &[SLOW, New], &[1]);
    }

    #[test]
    fn a_pod_ends_when_its_application_does_whatever_its_sidecars_do() {
        ends(RestartPolicy::Never, &[Sidecar, App, App], &[UP, DONE, DONE], true);
        ends(RestartPolicy::Never, &[Sidecar, App, App], &[UP, DONE, FAILED], false);
        ends(RestartPolicy::OnFailure, &[App], &[DONE], true);
        starts(RestartPolicy::OnFailure, &[App], &[FAILED], &[0]);
        starts(RestartPolicy::Always, &[App], &[DONE], &[0]);
    }

    #[test]
    fn a_failed_init_container_is_tried_again_unless_the_policy_is_never() {
        starts(RestartPolicy::Always, &[Init, App], &[FAILED, New], &[0]);
        starts(RestartPolicy::OnFailure, &[Init, App], &[FAILED, New], &[0]);
        ends(RestartPolicy::Never, &[Init, App], &[FAILED, New], false);
    }

    #[test]
    fn native_sidecars_stop_in_reverse_order_after_the_application() {
        let kinds = [Sidecar, Init, Sidecar, App, App];
        assert_eq!(stops_after(&kinds, 0), 1..5);
        assert_eq!(stops_after(&kinds, 2), 3..5);
        assert!(stops_after(&kinds, 3).is_empty());
        assert!(stops_after(&kinds, 1).is_empty());
    }

    #[test]
    fn a_pod_is_initialized_once_its_init_containers_ended_well_and_its_sidecars_have_started() {
        let kinds = [Init, Sidecar, App];
        assert!(!is_initialized(&kinds, &[FAILED, UP, New]));
        assert!(!is_initialized(&kinds, &[DONE, SLOW, New]));
        assert!(is_initialized(&kinds, &[DONE, UP, New]));
    }
}
