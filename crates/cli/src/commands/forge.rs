//! `scruple forge`: a taxonomy and seeds in; MIS items with splits, twins and labels out.

use std::path::{Path, PathBuf};

use align::chat::ChatModel;
use align::decontamination::Decontaminator;
use align::forge::{self, Forge, ForgeSummary, Reviews, Seed, Taxonomy, Truth};
use align::paint::PaintModel;
use align::types::read_given_lines;
use benchmarks::TestOnly;
use clap::Args;
use diagnostic::excerpt;
use endpoint::RoleSettings;
use mini::perception;
use serve::review::{Decisions, labels};

use super::against::{AgainstArguments, decontaminator};
use super::job::{self, Job};
use crate::arguments::{OutArguments, SettingsArguments, flag};
use crate::config::Loaded;
use crate::config::tables::{ForgeData, ForgeSettings};
use crate::context::Context;
use crate::data::check_no_test_set;
use crate::errors::{Failure, Result};
use crate::output_folder::{OutputFolder, remove_results};
use crate::roles::{self, JOURNAL, Model, Roles, with_costs};
use crate::terminal::print_line;

/// What forging leaves in its folder, but for its stages' files and the journal.
const RESULTS: [&str; 12] = [
    "forge.resolved.json",
    "rejected.jsonl",
    "summary.json",
    "items.jsonl",
    "train.jsonl",
    "easy.jsonl",
    "hard.jsonl",
    "real.jsonl",
    "benign.jsonl",
    "black.jsonl",
    "images",
    "mis",
];

/// Who may have a part in items.
const ROLES: [&str; 5] = ["writer", "painter", "judge", "annotator", "policy"];

const AFTER_HELP: &str = "\
Roles are tables of the settings: [role.writer] plans items and words them, [role.painter] paints,
[role.judge] looks at images, classifies items and judges replies; [role.annotator] writes labels
(the writer does where there is none), [role.policy] is the model that items are for. Each is an
endpoint (`url`, `model`), or the miniature world itself (`url = \"mini\"`); all but the painter may
be a model on this machine (`url = \"local\"`).

With --against, items whose text or image is in an evaluation set are rejected, with their twins.

DIR then holds a file for each stage with every draft that entered it, rejected.jsonl (what was
rejected, and why), summary.json, items.jsonl (all items with split, kind, category and twin_of),
train.jsonl (labeled, for `scruple sft`), easy, hard, real, benign and black.jsonl (for
`scruple eval`), images/, and mis/ in the released MIS layout. Every answer and image is in
journal.sqlite before it is used: after a stop, the same command resumes, makes no call twice and
ends in the same bytes.

Examples:
  scruple forge --config configs/forge.toml --out forged
  scruple forge --config configs/forge.toml --out forged --retry-failed
  scruple forge --config configs/forge_mini.toml --out forged forge.seed=1
  scruple forge --config configs/forge.toml --out clean --against mossbench=benchmarks
  scruple review --data forged --out decisions.jsonl --reviewer ada
  scruple forge --config configs/forge.toml --out forged --decisions decisions.jsonl";

/// Build items whose harm shows only when images and text are read together (MIS).
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    #[command(flatten)]
    settings: SettingsArguments,
    /// Seeds as JSON lines, in place of the taxonomy's; short for `data.seeds=…`
    #[arg(long, value_name = "FILE.jsonl")]
    data: Option<String>,
    /// What `scruple review` wrote: items that people rejected are left out, with their twins; short for
    /// `data.decisions=…`
    #[arg(long, value_name = "FILE.jsonl")]
    decisions: Option<String>,
    #[command(flatten)]
    against: AgainstArguments,
    #[command(flatten)]
    results: OutArguments,
    /// Repeat calls that failed, and go through the stages again
    #[arg(long)]
    retry_failed: bool,
}

/// Runs the command.
///
/// Errors: of settings for bad settings; of data for bad seeds or where nothing is left; of model where a role's cannot be
/// used; interrupted where the user or a budget ends it; of output where files cannot be written.
pub fn run(arguments: &Arguments, context: &mut Context) -> Result {
    let flags = [
        flag("--data", &["data", "seeds"], arguments.data.as_ref()),
        flag("--decisions", &["data", "decisions"], arguments.decisions.as_ref()),
    ];
    let loaded = arguments.settings.load::<ForgeSettings>(flags.into_iter().chain(arguments.against.flags()))?;
    check(&loaded)?;
    let (settings, out) = (&loaded.settings, arguments.results.out.as_path());
    let roles = Roles::new(&settings.role, Some(&out.join(JOURNAL)), context.global.device);
    let summary = job::run(&Forging { settings, out, roles, arguments }, context)?;
    print_line(&summary.text())?;
    Ok(print_line(&out.join("items.jsonl").display().to_string())?)
}

/// The forging of items.
struct Forging<'a> {
    settings: &'a ForgeSettings,
    out: &'a Path,
    roles: Roles<'a>,
    arguments: &'a Arguments,
}

/// What items are made of, what they must not be, and what people said of those made before.
struct Material<'a> {
    taxonomy: Taxonomy,
    seeds: Vec<Seed>,
    image_pool: Vec<PathBuf>,
    photographs: Vec<PathBuf>,
    decontaminator: Option<Decontaminator<'a>>,
    reviews: Reviews,
}

/// Who has a part in items.
struct Models {
    writer: Model,
    painter: Box<dyn PaintModel>,
    judge: Model,
    annotator: Option<Model>,
    policy: Option<Model>,
}

impl<'a> Job for Forging<'a> {
    type Data = Material<'a>;
    type Models = Models;
    type Product = ForgeSummary;

    fn data(&self) -> Result<Material<'a>> {
        let data = &self.settings.data;
        let taxonomy = Taxonomy::open(&data.taxonomy)?;
        for path in [&data.seeds, &data.seed_images, &data.image_pool, &data.photographs].into_iter().flatten() {
            check_no_test_set(path)?;
        }
        Ok(Material {
            seeds: seeds(data, &taxonomy)?,
            image_pool: images_in(data.image_pool.as_deref())?,
            photographs: images_in(data.photographs.as_deref())?,
            decontaminator: decontaminator(&self.settings.decontamination)?,
            reviews: data.decisions.as_deref().map_or_else(|| Ok(Reviews::new()), reviews)?,
            taxonomy,
        })
    }

    fn folder(&self, _: &Self::Data, _: &Context) -> Result<OutputFolder> {
        OutputFolder::make(self.out)
    }

    fn models(&self, _: &Context) -> Result<Models> {
        Ok(Models {
            writer: required(self.roles.one("writer")?, "writer")?,
            painter: required(self.roles.painter("painter")?, "painter")?,
            judge: required(self.roles.one("judge")?, "judge")?,
            annotator: self.roles.one("annotator")?,
            policy: self.roles.one("policy")?,
        })
    }

    fn work(&self, material: Self::Data, models: Models, context: &mut Context) -> Result<ForgeSummary> {
        let Forging { settings, out, roles, arguments } = self;
        let restart = arguments.results.restart.restart;
        if restart {
            remove_results(out, &RESULTS)?;
            remove_results(out, &forge::stage::files(Path::new("")))?;
        }
        roles.begin(restart, arguments.retry_failed)?;
        let forge = Forge {
            config: &settings.forge,
            labels: &settings.labels,
            taxonomy: &material.taxonomy,
            seeds: &material.seeds,
            image_pool: &material.image_pool,
            photographs: &material.photographs,
            writer: &*models.writer,
            painter: &*models.painter,
            judge: &*models.judge,
            annotator: &**models.annotator.as_ref().unwrap_or(&models.writer),
            policy: models.policy.as_deref().map(|policy| policy as &dyn ChatModel),
            truth: knows_truth(settings),
            decontaminator: material.decontaminator.as_ref(),
            reviews: &material.reviews,
            folder: out,
        };
        with_costs(roles, forge::run(&forge, &mut context.progress).map_err(Failure::from))
    }
}

fn check(loaded: &Loaded<ForgeSettings>) -> Result {
    loaded.check(loaded.settings.forge.validate("forge"))?;
    loaded.check(loaded.settings.labels.validate("labels"))?;
    loaded.check(loaded.settings.decontamination.validate("decontamination"))?;
    roles::check(loaded, &loaded.settings.role)?;
    match loaded.settings.role.keys().find(|role| !ROLES.contains(&role.as_str())) {
        Some(role) => Err(Failure::settings(format!("`role.{role}`: expected one of {}", ROLES.join(", ")))),
        None => Ok(()),
    }
}

fn required<T>(role: Option<T>, name: &str) -> Result<T, Failure> {
    role.ok_or_else(|| {
        Failure::settings(format!("`role.{name}` is not set: expected a table"))
            .hint(format!("configs/forge.toml has one: [role.{name}] with `url` and `model`"))
    })
}

/// Only of images that the miniature world painted is known what they show.
fn knows_truth(settings: &ForgeSettings) -> Option<Truth> {
    let paints_mini = settings.role.get("painter").is_some_and(RoleSettings::is_mini);
    paints_mini.then_some(perception::truth_of as Truth)
}

/// What people decided, by item, those who left it open aside.
///
/// Errors: of data where there is no such file, or nothing in it is decided.
fn reviews(path: &Path) -> Result<Reviews> {
    if !path.exists() {
        return Err(Failure::data("no such file: expected decisions").at(&path.display().to_string()));
    }
    let latest = Decisions::read(path)?;
    let by_item = labels(&latest).into_iter();
    let reviews: Reviews = by_item.map(|(id, labels)| (id.to_owned(), labels)).collect();
    if reviews.is_empty() {
        return Err(Failure::data("expected decisions, got none that counts")
            .hint("`scruple review` writes them")
            .at(&path.display().to_string()));
    }
    Ok(reviews)
}

/// The seeds of the file, or of the taxonomy; then the images of the folder.
fn seeds(data: &ForgeData, taxonomy: &Taxonomy) -> Result<Vec<Seed>> {
    let mut seeds = match &data.seeds {
        Some(path) => {
            if !path.exists() {
                return Err(Failure::data("no such file: expected seeds").at(&path.display().to_string()));
            }
            read_seeds(path, taxonomy)?
        }
        None if data.seed_images.is_some() => Vec::new(),
        None => Seed::of(taxonomy),
    };
    for (index, image) in images_in(data.seed_images.as_deref())?.into_iter().enumerate() {
        seeds.push(Seed { id: format!("p{}", index + 1), text: None, image: Some(image), subcategory: None });
    }
    Ok(seeds)
}

fn read_seeds(path: &Path, taxonomy: &Taxonomy) -> Result<Vec<Seed>> {
    let mut lines = read_given_lines::<Seed>(path, "`id` and either `text` or `image`")?;
    let folder = std::path::absolute(path)?;
    let folder = folder.parent().unwrap_or(Path::new(""));
    let mut ids = std::collections::HashSet::new();
    let mut test_only = TestOnly::default();
    for (line, seed) in &mut lines {
        let unknown = seed.subcategory.as_ref().filter(|name| taxonomy.find(name).is_none());
        let problem = if seed.text.is_some() == seed.image.is_some() {
            "expected either `text` or `image`".to_owned()
        } else if !ids.insert(seed.id.clone()) {
            format!("`id`: expected unique ids, got `{}` again", excerpt(&seed.id))
        } else if let Some(name) = unknown {
            format!("`subcategory`: expected one of the taxonomy, got `{}`", excerpt(name))
        } else {
            seed.image = seed.image.take().map(|image| folder.join(image));
            match seed.image.as_ref().and_then(|image| test_only.of_file(image)) {
                Some(suite) => suite.forbids_training(),
                None => continue,
            }
        };
        return Err(Failure::data(format!("{}:{line}: {problem}", path.display())));
    }
    if lines.is_empty() {
        return Err(Failure::data("expected seeds, got an empty file").at(&path.display().to_string()));
    }
    Ok(lines.into_iter().map(|(_, seed)| seed).collect())
}

/// The images of a folder by name, their paths absolute.
fn images_in(folder: Option<&Path>) -> Result<Vec<PathBuf>> {
    let Some(folder) = folder else {
        return Ok(Vec::new());
    };
    let mut images = Vec::new();
    for entry in fs_err::read_dir(std::path::absolute(folder)?)? {
        let path = entry?.path();
        let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
        if ["png", "jpg", "jpeg"].contains(&ending.to_ascii_lowercase().as_str()) {
            images.push(path);
        }
    }
    images.sort();
    if images.is_empty() {
        let failure = Failure::data("expected PNG or JPEG images in the folder, got none");
        return Err(failure.at(&folder.display().to_string()));
    }
    Ok(images)
}
