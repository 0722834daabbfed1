//! The demo's stages. Each leaves its results in a folder of its own and, called again, resumes from what is there.

use std::path::{Path, PathBuf};
use std::time::Instant;

use align::curate::{self, Curation, Policy, Pool};
use align::eval::{EvalConfig, EvalSummary, Evaluation};
use align::grpo;
use align::rollout::Rollout;
use align::seeds::shuffled;
use align::sft;
use align::types::{Item, read_items};
use engine::{LocalEngine, Trainable};
use mini::judge::ExactJudge;
use mini::splits;
use serde::Serialize;
use serde_json::{Value, json};

use super::super::run_folder::RunFolder;
use super::super::training::Training;
use super::super::{eval, job};
use super::base_model;
use super::recipe::{Finetuning, Recipe, Reinforcement};
use crate::config::tables::{ModelTable, RoleTables};
use crate::context::Context;
use crate::errors::Result;
use crate::model::{self, Passes};
use crate::output_folder::{OutputFolder, remove_results};
use crate::roles::{JOURNAL, Model, Roles};

/// Where image features are kept while the stages run, and the gigabytes they may take.
const FEATURES: &str = "features";
const FEATURES_GB: f64 = 1.0;

/// The exact judge judges, and one model answers at a time.
static NO_ROLES: RoleTables = RoleTables::new();

/// A demo under way.
pub struct Demo<'a> {
    /// Where everything goes.
    pub folder: &'a Path,
    /// What is done.
    pub recipe: &'a Recipe,
    /// How it is shown.
    pub context: &'a mut Context,
    /// The stages done so far and how long each took, in seconds.
    pub stages: Vec<Value>,
}

impl Demo<'_> {
    /// Draws the world: `world/`.
    pub fn draw_world(&mut self) -> Result {
        let folder = self.folder.join("world");
        let recipe = self.recipe;
        self.timed("world", |demo| {
            splits::write(&recipe.mini, &folder, &mut demo.context.progress)?;
            Ok(())
        })
    }

    /// Writes the base model: `base/`.
    pub fn unpack_base(&mut self) -> Result<ModelTable> {
        let folder = self.folder.join("base");
        base_model::unpack(&folder)?;
        Ok(ModelTable { path: Some(folder), ..ModelTable::default() })
    }

    /// Fine-tunes on the labels of a name with samples of others mixed in: `runs/<name>/`.
    pub fn finetune(
        &mut self,
        name: &str,
        base: &ModelTable,
        settings: &Finetuning,
        mixed_in: &[&str],
    ) -> Result<ModelTable> {
        let labels = self.folder.join("world/labels");
        let Finetuning { train, sft: config } = settings;
        self.timed(&format!("fine-tune {name}"), |demo| {
            let items = read_items(&labels.join(format!("{name}.jsonl")))?;
            let mut general = Vec::new();
            for name in mixed_in {
                general.extend(read_items(&labels.join(format!("{name}.jsonl")))?);
            }
            demo.say(&format!("{name}: fine-tuning on {} labels", items.len()));
            let recorded = json!({ "labels": name, "train": train, "sft": config });
            let training = Training {
                model: base,
                train,
                seed: demo.recipe.mini.seed,
                passes: demo.passes(&Passes::of(config)),
                method: &|engine, run_dir, progress| sft::run(engine, &items, &general, config, run_dir, progress),
                run: demo.run_folder(name, &recorded, config.seed)?,
                weights: None,
            };
            Ok(trained(base, train, job::run(&training, demo.context)?))
        })
    }

    /// Chooses training prompts for a run by what the model that it begins with makes of them: `curate/<name>/`.
    pub fn curate(&mut self, name: &str, from: &ModelTable, settings: &Reinforcement) -> Result {
        self.timed(&format!("curate {name}"), |demo| {
            let items = demo.pool()?;
            let folder = demo.folder.join("curate").join(name);
            let _folder = OutputFolder::make(&folder)?;
            let roles = demo.roles(&folder);
            let model = demo.answering(&roles, from, settings.curate.batch_size)?;
            demo.say(&format!("{name}: curating {} prompts", items.len()));
            let curation = Curation {
                pool: Pool::Items(&items),
                judge: &ExactJudge,
                reward: &settings.reward,
                config: &settings.curate,
                decontaminator: None,
                policy: &json!(from.relative_to(demo.folder)),
                sample_again: false,
            };
            let policies = [Policy::alone(&*model)];
            let summary = curate::run(&policies, &curation, &folder, &mut demo.context.progress)?;
            Ok(report::qi_box::write(&folder, &summary)?)
        })
    }

    /// Trains by GRPO on the curated prompts: `runs/<name>/`.
    pub fn reinforce(&mut self, name: &str, from: &ModelTable, settings: &Reinforcement) -> Result<ModelTable> {
        self.timed(&format!("reinforce {name}"), |demo| {
            let items = demo.prompts(name)?;
            demo.say(&format!("{name}: reinforcement on {} prompts", items.len()));
            let rollout = Rollout { config: &settings.rollout, reward: &settings.reward, judge: &ExactJudge };
            let training = Training {
                model: from,
                train: &settings.train,
                seed: demo.recipe.mini.seed,
                passes: demo.passes(&Passes::default()),
                method: &|engine, run_dir, progress| {
                    grpo::run(engine, &items, &settings.grpo, &rollout, run_dir, progress)
                },
                run: demo.run_folder(name, settings, settings.grpo.seed)?,
                weights: None,
            };
            Ok(trained(from, &settings.train, job::run(&training, demo.context)?))
        })
    }

    /// Evaluates a model on every split: `eval/<name>/`.
    pub fn evaluate(&mut self, name: &str, model: &ModelTable) -> Result<EvalSummary> {
        let recipe = self.recipe;
        self.timed(&format!("evaluate {name}"), |demo| {
            let (items, _) = eval::read_all(&demo.folder.join("world"))?;
            let config = EvalConfig { model: name.to_owned(), ..recipe.eval.clone() };
            let folder = demo.folder.join("eval").join(name);
            let _folder = OutputFolder::make(&folder)?;
            let roles = demo.roles(&folder);
            let answering = demo.answering(&roles, model, config.batch_size)?;
            demo.say(&format!("{name}: evaluating on {} items", items.len()));
            let evaluation = Evaluation {
                items: &items,
                judge: &ExactJudge,
                config: &config,
                policy: &json!(model.relative_to(demo.folder)),
                judging: &Value::Null,
            };
            let progress = &mut demo.context.progress;
            Ok(align::eval::run(&*answering, &evaluation, &folder, progress)?.summary)
        })
    }

    /// The prompts curated for a run, or as many of the pool.
    fn prompts(&self, name: &str) -> Result<Vec<Item>> {
        let curated = read_items(&self.folder.join("curate").join(name).join("curated.jsonl"))?;
        if self.recipe.curated_prompts {
            return Ok(curated);
        }
        let mut pool = self.pool()?;
        pool.truncate(curated.len());
        Ok(pool)
    }

    /// Hazards, their benign twins, and general questions without their labels: as many as the recipe says, in an order
    /// shuffled by the seed.
    fn pool(&self) -> Result<Vec<Item>> {
        let mut prompts = read_items(&self.folder.join("world/train.jsonl"))?;
        for mut item in read_items(&self.folder.join("world/labels/general.jsonl"))? {
            item.messages = item.prompt().to_vec();
            prompts.push(item);
        }
        let order = shuffled(prompts.len(), self.recipe.mini.seed);
        let chosen = order.into_iter().take(self.recipe.pool);
        Ok(chosen.map(|index| prompts[index].clone()).collect())
    }

    /// The journal of the answers in a folder; no roles are played.
    fn roles(&self, folder: &Path) -> Roles<'static> {
        Roles::new(&NO_ROLES, Some(&folder.join(JOURNAL)), self.context.global.device)
    }

    /// The model as one that answers.
    fn answering(&self, roles: &Roles, model: &ModelTable, batch_size: usize) -> Result<Model> {
        roles.of_engine(model, self.open(model, Trainable::Frozen)?, batch_size)
    }

    fn open(&self, model: &ModelTable, train: Trainable) -> Result<LocalEngine> {
        let (seed, device) = (self.recipe.mini.seed, self.context.global.device);
        model::open_with(model, train, seed, device, &self.passes(&Passes::default()))
    }

    /// All stages look at the same images through the same frozen vision tower: each image goes through it once.
    fn passes(&self, passes: &Passes) -> Passes {
        Passes {
            feature_folder: model::feature_folder(Some(&self.folder.join(FEATURES)), FEATURES_GB),
            ..passes.clone()
        }
    }

    /// Removes what only the stages needed.
    pub fn clear_up(&self) -> Result {
        remove_results(self.folder, &[FEATURES])
    }

    fn run_folder(&self, name: &str, settings: &impl Serialize, seed: u64) -> Result<RunFolder> {
        RunFolder::at(&self.folder.join("runs").join(name), settings, seed, false)
    }

    fn timed<R>(&mut self, name: &str, stage: impl FnOnce(&mut Self) -> Result<R>) -> Result<R> {
        let began = Instant::now();
        let result = stage(self)?;
        self.stages.push(json!({ "name": name, "wall_s": began.elapsed().as_secs_f64() }));
        Ok(result)
    }

    fn say(&self, words: &str) {
        if !self.context.global.quiet {
            eprintln!("{words}");
        }
    }
}

/// What training made of a model: an adapter on it, or a model of its own.
fn trained(model: &ModelTable, train: &Trainable, checkpoint: PathBuf) -> ModelTable {
    if matches!(train, Trainable::Lora { .. }) {
        ModelTable { adapter: Some(checkpoint), ..model.clone() }
    } else {
        ModelTable { path: Some(checkpoint), ..model.clone() }
    }
}
