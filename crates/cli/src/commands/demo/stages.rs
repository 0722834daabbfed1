//! The demo's stages. Each leaves its results in a folder of its own and, asked again, goes on from what is there.

use std::path::{Path, PathBuf};
use std::time::Instant;

use align::curate::{self, Curation, Policy, Pool};
use align::eval::{EvalConfig, EvalSummary};
use align::grpo;
use align::rollout::Rollout;
use align::run_dir::{AnswerFolder, RunDir};
use align::sft;
use align::training::{Outcome, shuffled};
use align::types::{Item, read_items};
use engine::{LocalEngine, Trainable};
use mini::judge::ExactJudge;
use mini::splits;
use serde::Serialize;
use serde_json::{Value, json};

use super::super::model::{self, Passes};
use super::super::{Context, eval, run_folder};
use super::base_model;
use super::recipe::{Finetuning, Recipe, Reinforcement};
use crate::config::tables::ModelTable;
use crate::interrupt;

/// Where picture features are kept while the stages go on, and the gigabytes they may take.
const FEATURES: &str = "features";
const FEATURES_GB: f64 = 1.0;

/// A demo under way.
pub struct Demo<'a> {
    folder: &'a Path,
    recipe: &'a Recipe,
    context: &'a mut Context,
    stages: Vec<Value>,
}

impl<'a> Demo<'a> {
    pub fn new(folder: &'a Path, recipe: &'a Recipe, context: &'a mut Context) -> Self {
        Self {
            folder,
            recipe,
            context,
            stages: Vec::new(),
        }
    }

    /// The stages done so far and how long each took, in seconds.
    pub fn stages(&self) -> Vec<Value> {
        self.stages.clone()
    }

    /// Draws the world: `world/`.
    pub fn draw_world(&mut self) -> anyhow::Result<()> {
        let folder = self.folder.join("world");
        let recipe = self.recipe;
        self.timed("world", |demo| {
            splits::write(&recipe.mini, &folder, &mut demo.context.progress).map_err(interrupt::stopped_or)?;
            Ok(())
        })
    }

    /// Writes the base model: `base/`.
    pub fn unpack_base(&mut self) -> anyhow::Result<ModelTable> {
        let folder = self.folder.join("base");
        base_model::unpack(&folder)?;
        Ok(ModelTable {
            path: Some(folder),
            ..ModelTable::default()
        })
    }

    /// Fine-tunes on the labels of a name with samples of others mixed in: `runs/<name>/`.
    pub fn finetune(
        &mut self,
        name: &str,
        base: &ModelTable,
        settings: &Finetuning,
        mixed_in: &[&str],
    ) -> anyhow::Result<ModelTable> {
        let world = self.folder.join("world/labels");
        let Finetuning { train, sft: config } = settings;
        self.timed(&format!("fine-tune {name}"), |demo| {
            let read = |labels: &str| read_items(&world.join(format!("{labels}.jsonl")));
            let items = read(name)?;
            let mixed_in = mixed_in
                .iter()
                .map(|labels| read(labels))
                .collect::<Result<Vec<_>, _>>()?;
            let mut engine = demo.open_with(base, train.clone(), &Passes::of(config))?;
            let settings = json!({ "labels": name, "train": train, "sft": config });
            let mut run_dir = demo.run_dir(name, &settings, config.seed)?;
            demo.say(&format!("{name}: fine-tuning on {} labels", items.len()));
            let outcome = sft::run(
                &mut engine,
                &items,
                &mixed_in.concat(),
                config,
                &mut run_dir,
                &mut demo.context.progress,
            )?;
            Ok(trained(base, train, finished(outcome, &run_dir)?))
        })
    }

    /// Chooses training prompts for a run by what the model that it begins with makes of them: `curate/<name>/`.
    pub fn curate(&mut self, name: &str, from: &ModelTable, settings: &Reinforcement) -> anyhow::Result<()> {
        self.timed(&format!("curate {name}"), |demo| {
            let items = demo.pool()?;
            let mut engine = demo.open(from, Trainable::Frozen)?;
            demo.say(&format!("{name}: curating {} prompts", items.len()));
            let curation = Curation {
                pool: Pool::Items(&items),
                judge: &ExactJudge,
                rubric: &settings.reward,
                config: &settings.curate,
                decontaminator: None,
                retry_unscored: false,
            };
            let folder = demo.folder.join("curate").join(name);
            let policy = demo.policy(from);
            let output = AnswerFolder {
                path: &folder,
                policy: &policy,
                resume: true,
            };
            let mut policies = [Policy::local(&mut engine)];
            let progress = &mut demo.context.progress;
            let summary = curate::run(&mut policies, &curation, output, progress).map_err(interrupt::stopped_or)?;
            Ok(report::qi_box::write(&folder, &summary)?)
        })
    }

    /// Trains by GRPO on the curated prompts: `runs/<name>/`.
    pub fn reinforce(&mut self, name: &str, from: &ModelTable, settings: &Reinforcement) -> anyhow::Result<ModelTable> {
        self.timed(&format!("reinforce {name}"), |demo| {
            let items = demo.prompts(name)?;
            let mut engine = demo.open(from, settings.train.clone())?;
            let mut run_dir = demo.run_dir(name, &settings, settings.grpo.seed)?;
            let rollout = Rollout {
                config: &settings.rollout,
                rubric: &settings.reward,
                judge: &ExactJudge,
            };
            demo.say(&format!("{name}: reinforcement on {} prompts", items.len()));
            let progress = &mut demo.context.progress;
            let outcome = grpo::run(&mut engine, &items, &settings.grpo, &rollout, &mut run_dir, progress)?;
            Ok(trained(from, &settings.train, finished(outcome, &run_dir)?))
        })
    }

    /// Evaluates a model on every split: `eval/<name>/`.
    pub fn evaluate(&mut self, name: &str, model: &ModelTable) -> anyhow::Result<EvalSummary> {
        let recipe = self.recipe;
        self.timed(&format!("evaluate {name}"), |demo| {
            let (items, _) = eval::read_all(&demo.folder.join("world"))?;
            let mut engine = demo.open(model, Trainable::Frozen)?;
            demo.say(&format!("{name}: evaluating on {} items", items.len()));
            let config = EvalConfig {
                model: name.to_owned(),
                ..recipe.eval.clone()
            };
            let folder = demo.folder.join("eval").join(name);
            let policy = demo.policy(model);
            let output = AnswerFolder {
                path: &folder,
                policy: &policy,
                resume: true,
            };
            let progress = &mut demo.context.progress;
            let outcome = align::eval::run(&mut engine, &items, &ExactJudge, &config, output, progress)?;
            if outcome.is_complete {
                Ok(outcome.summary)
            } else {
                Err(interrupt::stopped().into())
            }
        })
    }

    /// The prompts curated for a run, or as many of the pool.
    fn prompts(&self, name: &str) -> anyhow::Result<Vec<Item>> {
        let curated = read_items(&self.folder.join("curate").join(name).join("curated.jsonl"))?;
        if self.recipe.curated_prompts {
            return Ok(curated);
        }
        let mut pool = self.pool()?;
        pool.truncate(curated.len());
        Ok(pool)
    }

    /// Hazards, their benign twins, and general questions without their labels: as many as the recipe says, in an order
    /// drawn by the seed.
    fn pool(&self) -> anyhow::Result<Vec<Item>> {
        let mut prompts = read_items(&self.folder.join("world/train.jsonl"))?;
        for mut item in read_items(&self.folder.join("world/labels/general.jsonl"))? {
            item.messages = item.prompt().to_vec();
            prompts.push(item);
        }
        let order = shuffled(prompts.len(), self.recipe.mini.seed);
        let chosen = order.into_iter().take(self.recipe.pool);
        Ok(chosen.map(|index| prompts[index].clone()).collect())
    }

    /// The policy by its folders, as seen from the demo's, which may be moved.
    fn policy(&self, model: &ModelTable) -> String {
        model.seen_from(self.folder).policy()
    }

    fn open(&self, model: &ModelTable, train: Trainable) -> anyhow::Result<LocalEngine> {
        self.open_with(model, train, &Passes::default())
    }

    /// All stages look at the same pictures through the same frozen vision tower: each picture goes through it once.
    fn open_with(&self, model: &ModelTable, train: Trainable, passes: &Passes) -> anyhow::Result<LocalEngine> {
        let features = self.folder.join(FEATURES);
        let passes = Passes {
            feature_folder: model::feature_folder(Some(&features), FEATURES_GB),
            ..passes.clone()
        };
        model::open_with(model, train, self.recipe.mini.seed, self.context.global.device, &passes)
    }

    /// Removes what only the stages needed.
    pub fn clear_up(&self) -> std::io::Result<()> {
        fs_err::remove_dir_all(self.folder.join(FEATURES))
    }

    fn run_dir(&self, name: &str, settings: &impl Serialize, seed: u64) -> anyhow::Result<RunDir> {
        run_folder::open(&self.folder.join("runs").join(name), true, settings, seed)
    }

    fn timed<R>(&mut self, name: &str, stage: impl FnOnce(&mut Self) -> anyhow::Result<R>) -> anyhow::Result<R> {
        let began = Instant::now();
        let result = stage(self)?;
        self.stages
            .push(json!({ "name": name, "wall_s": began.elapsed().as_secs_f64() }));
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
        ModelTable {
            adapter: Some(checkpoint),
            ..model.clone()
        }
    } else {
        ModelTable {
            path: Some(checkpoint),
            ..model.clone()
        }
    }
}

fn finished(outcome: Outcome, run_dir: &RunDir) -> anyhow::Result<PathBuf> {
    match outcome {
        Outcome::Finished { steps } => Ok(run_dir.checkpoint_folder(steps)),
        Outcome::Interrupted { .. } => Err(interrupt::stopped().into()),
    }
}
