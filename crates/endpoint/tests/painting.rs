//! Images from an endpoint that spoils one call in five: each is painted once or refused, none is paid for twice, and
//! what is kept costs nothing again.

use std::path::Path;
use std::sync::Arc;

use align::chat::ChatError;
use align::paint::{ImageFormat, PaintModel, PaintRequest};
use endpoint::{Endpoint, Journal, RoleSettings};
use fake_endpoint::{Failure, FakeEndpoint};

const IMAGES: usize = 80;

/// What looks like a PNG file, and holds prompt and seed.
fn image(prompt: &str, seed: u64) -> Vec<u8> {
    let mut bytes = b"\x89PNG".to_vec();
    bytes.extend(format!("{prompt} {seed}").into_bytes());
    bytes
}

fn no_words(_words: &str) -> String {
    String::new()
}

fn open(fake: &FakeEndpoint, folder: &Path, max_cost: f64) -> Endpoint {
    let settings = RoleSettings {
        url: fake.url(),
        model: "brush".to_owned(),
        api_key_env: "NO_SUCH_KEY".to_owned(),
        timeout: 1.0,
        max_retries: 9,
        price_image: 0.04,
        max_cost,
        ..RoleSettings::default()
    };
    let journal = Journal::open(&folder.join("journal.sqlite")).unwrap();
    Endpoint::new("painter", settings, Arc::new(journal), || false).unwrap()
}

/// Each image's bytes, or why there is none; nothing where it has not come to its turn.
type Painted = Vec<Option<Result<Vec<u8>, String>>>;

fn paint(endpoint: &Endpoint) -> (Result<(), ChatError>, Painted) {
    let mut requests = (0..IMAGES).map(|number| PaintRequest {
        id: format!("p{number}"),
        prompt: format!("a kettle, no. {number}"),
        size: 64,
        seed: number as u64,
    });
    let mut painted = vec![None; IMAGES];
    let ended = endpoint.paint(&mut requests, &mut |index, outcome| {
        assert!(painted[index].is_none(), "image {index} came twice");
        painted[index] = Some(outcome.map_err(|unpainted| unpainted.reason).map(|painting| {
            assert_eq!(painting.format, ImageFormat::Png);
            painting.bytes
        }));
    });
    (ended, painted)
}

fn check(fake: &FakeEndpoint) {
    let folder = tempfile::tempdir().unwrap();
    let endpoint = open(fake, folder.path(), 0.0);
    let (ended, painted) = paint(&endpoint);
    ended.unwrap();
    let counts = fake.counts();
    assert!(counts.answered.values().all(|&times| times == 1), "an image was paid for twice");
    let mut refused = 0;
    for (number, outcome) in painted.iter().enumerate() {
        match outcome.as_ref().unwrap() {
            Ok(bytes) => assert_eq!(*bytes, image(&format!("a kettle, no. {number}"), number as u64)),
            Err(reason) => {
                let known = ["content policy", "flagged", "expected a PNG or JPEG image"];
                assert!(known.iter().any(|known| reason.contains(known)), "{reason}");
                refused += 1;
            }
        }
    }
    let of_failure = |failure| counts.failures.get(&failure).copied().unwrap_or(0);
    let unpaid = of_failure(Failure::Refusal) + of_failure(Failure::Flagged);
    assert_eq!(refused, unpaid + of_failure(Failure::WrongSchema));
    let spending = endpoint.spending();
    assert_eq!((spending.calls, spending.failed), (IMAGES as u64, refused as u64));
    // What is no image is paid for too; what a content policy forbids is not.
    let paid = IMAGES - unpaid;
    assert!((spending.cost - 0.04 * paid as f64).abs() < 1e-9);

    // Again, by another process: from the journal and the files beside it alone.
    drop(endpoint);
    let again = open(fake, folder.path(), 0.0);
    assert_eq!(paint(&again).1, painted);
    assert_eq!(fake.counts().calls, counts.calls);

    // An image that someone removed is missed, not silently painted anew.
    let images = folder.path().join("journal.images");
    let first = fs_err::read_dir(&images).unwrap().next().unwrap().unwrap().path();
    fs_err::remove_file(&first).unwrap();
    let message = paint(&again).0.unwrap_err().to_string();
    assert!(message.starts_with("an image that was paid for is lost: "), "{message}");
    assert_eq!(fake.counts().calls, counts.calls);
}

#[test]
fn every_image_is_painted_once_or_refused() {
    check(&FakeEndpoint::start_painting(no_words, image, 20).unwrap());
}

#[test]
fn images_may_be_fetched_from_where_the_endpoint_says() {
    check(&FakeEndpoint::start_painting_by_address(no_words, image, 20).unwrap());
}

#[test]
fn a_budget_of_images_ends_cleanly_and_a_larger_one_resumes() {
    let fake = FakeEndpoint::start_painting(no_words, image, 0).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (ended, painted) = paint(&open(&fake, folder.path(), 1.0));
    assert!(matches!(ended, Err(ChatError::Budget(_))), "{ended:?}");
    let finished = painted.iter().flatten().count();
    assert!((20..=26).contains(&finished), "{finished}");
    let (ended, painted) = paint(&open(&fake, folder.path(), 10.0));
    ended.unwrap();
    assert_eq!((painted.iter().flatten().count(), fake.counts().calls), (IMAGES, IMAGES));
}
