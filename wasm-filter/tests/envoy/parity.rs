//! The corpus, told by the filter in Envoy: every story that depends on neither time nor chance, which nobody there has in hand.

use std::collections::BTreeSet;
use std::iter;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use testing::parity::{Case, corpus, differences};

use super::envoy::Envoy;

mod bootstrap;
mod exchange;
mod http2;
mod program;
mod scene;
mod words;

use program::Filter;
use scene::Scene;

#[test]
fn the_filter_in_envoy_tells_all_that_is_told_anywhere() {
    let mut cases: Vec<Case> = corpus().into_iter().filter(|case| case.anywhere).collect();
    let in_its_words = cases.iter_mut().filter_map(|case| words::of_envoy(case).then(|| case.title.clone()));
    assert_eq!(in_its_words.collect::<Vec<_>>(), words::STORIES);

    let scenes: Vec<Scene> = cases.iter().map(|_| Scene::new()).collect();
    // With one worker a story's requests meet in one VM, as they do in core's.
    let envoy = Envoy::with_workers(1, &bootstrap::of(&cases, &scenes));
    let stories: Vec<_> = iter::zip(&cases, &scenes).enumerate().collect();
    let told = in_parallel(&stories, |(number, (case, scene))| {
        let mut filter = Filter::begin(envoy.listener(&bootstrap::listener(*number)), scene);
        let wrong = differences(case, &mut filter);
        Told { title: &case.title, wrong, by_envoy: filter.envoy_has_refused() }
    });

    let wrong: Vec<&str> = told.iter().flat_map(|told| &told.wrong).map(String::as_str).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    let by_envoy: BTreeSet<&str> = told.iter().filter(|told| told.by_envoy).map(|told| told.title).collect();
    assert_eq!(by_envoy, REFUSED_BY_ENVOY.into());
    let by_filter = told.len() - by_envoy.len();
    eprintln!("{by_filter} stories told by the filter in Envoy, {} by Envoy in its place", by_envoy.len());
    assert!(by_filter >= STORIES_MIN, "{by_filter} stories");
}

/// What became of a story.
struct Told<'a> {
    title: &'a str,
    wrong: Vec<String>,
    by_envoy: bool,
}

/// What comes of each, whoever is done first. A story mostly waits for the tick at which the filter asks for news, so many are told at once.
fn in_parallel<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let (next, results) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let result = work(item);
                    results.lock().expect("nobody panics here").push(result);
                }
            });
        }
    });
    results.into_inner().expect("nobody panics here")
}

/// A change takes a second to be asked for; 300 of them are told in ten.
const AT_ONCE: usize = 32;

/// As many have to be the filter's own.
const STORIES_MIN: usize = 60;

/// What Envoy answers with 400 by itself: the filter never sees it.
const REFUSED_BY_ENVOY: [&str; 1] = ["A slash in a name"];
