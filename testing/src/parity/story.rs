//! A story, told by a program.

use std::net::SocketAddr;
use std::time::Duration;

use super::corpus::{Case, Request, Step};
use super::world::World;

/// A program that decides where requests go, begun for one case.
pub trait Program {
    /// This is what there is, in the words of `/services`.
    fn learns(&mut self, document: &str);
    fn waits(&mut self, time: Duration);
    /// The requests of a case are counted from 0.
    fn is_asked(&mut self, number: usize, request: &Request) -> Answer;
    /// The endpoint has answered that request, and all of it.
    fn is_answered(&mut self, number: usize, status: u16);
}

/// What became of a request.
#[derive(Clone, Debug)]
pub enum Answer {
    /// It goes to an endpoint, with these headers: names in lower case, `host` for whom it asks.
    Goes(SocketAddr, Vec<(String, String)>),
    /// The code of its failure.
    Fails(String),
}

/// Has each of these stories told by a program begun for it; panics with all that is told differently.
pub fn tell<'a, P: Program>(cases: impl IntoIterator<Item = &'a Case>, begin: impl Fn(&Case) -> P) {
    let wrong: Vec<String> = cases.into_iter().flat_map(|case| differences(case, &mut begin(case))).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// Has a program tell a story: what it tells differently.
pub fn differences(case: &Case, program: &mut impl Program) -> Vec<String> {
    let mut teller =
        Teller { case, world: case.world.clone(), program, held: Vec::new(), asked: 0, wrong: Vec::new() };
    teller.program.learns(&teller.world.document());
    for (line, step) in &case.steps {
        teller.take(*line, step);
    }
    teller.wrong
}

struct Teller<'a, P> {
    case: &'a Case,
    world: World,
    program: &'a mut P,
    /// Requests that have not been answered, and where they are.
    held: Vec<(usize, String)>,
    asked: usize,
    wrong: Vec<String>,
}

impl<P: Program> Teller<'_, P> {
    fn take(&mut self, line: usize, step: &Step) {
        match step {
            Step::Wait(time) => self.program.waits(*time),
            Step::Change(what, how) => {
                self.world.change(what, how);
                self.program.learns(&self.world.document());
            }
            Step::End(label) => {
                let oldest = self.held.iter().position(|(_, at)| at == label);
                let (number, _) = self.held.remove(oldest.expect("that endpoint holds a request"));
                self.program.is_answered(number, 200);
            }
            Step::Ask(request) => self.ask(line, request),
        }
    }

    fn ask(&mut self, line: usize, request: &Request) {
        let mut answers = Vec::new();
        for _ in &request.answers {
            let number = self.asked;
            self.asked += 1;
            match self.program.is_asked(number, request) {
                Answer::Goes(address, headers) => {
                    let label = self.world.label(address).unwrap_or("nobody").to_owned();
                    self.compare_told(line, request, headers);
                    self.go_on(number, &label, request);
                    answers.push(label);
                }
                Answer::Fails(code) => answers.push(code),
            }
        }
        if answers != request.answers {
            self.complain(
                line,
                &format!("-> {}", request.answers.join(" ")),
                &format!("-> {}", answers.join(" ")),
            );
        }
    }

    fn go_on(&mut self, number: usize, label: &str, request: &Request) {
        if request.held {
            self.held.push((number, label.to_owned()));
            return;
        }
        if !request.after.is_zero() {
            self.program.waits(request.after);
        }
        self.program.is_answered(number, request.status);
    }

    fn compare_told(&mut self, line: usize, request: &Request, headers: Vec<(String, String)>) {
        let mut told: Vec<_> = headers.into_iter().filter(|(name, _)| tells(name)).collect();
        told.sort();
        let mut expected = request.told.clone();
        expected.sort();
        if !expected.is_empty() && told != expected {
            let lines = |fields: &[(String, String)]| {
                fields.iter().map(|(name, value)| format!("> {name}: {value}")).collect::<Vec<_>>().join("\n")
            };
            self.complain(line, &lines(&expected), &lines(&told));
        }
    }

    fn complain(&mut self, line: usize, expected: &str, found: &str) {
        let Case { place, title, .. } = self.case;
        self.wrong.push(format!("{place} {title}, line {line}\n{expected}\nhas become\n{found}"));
    }
}

/// Whether that header says whom a request is for, or where it came from.
pub fn tells(name: &str) -> bool {
    let usual = ["host", "forwarded", "via", "x-real-ip"];
    usual.contains(&name) || name.starts_with("x-forwarded") || name.contains('_')
}
