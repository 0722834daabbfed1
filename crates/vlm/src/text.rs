//! The language model of every family: a decoder with rotary positions, grouped-query attention and SwiGLU, its
//! embedding and its head (Qwen2.5 technical report, arXiv 2412.15115, section 2). The names of the parts in a
//! checkpoint come from its family ([`TextLayout`]).

use burn::tensor::{Device, Int, Tensor};

use crate::attention::{Attention, AttentionContext, KeyValues, QkvLayout};
use crate::config::text::TextConfig;
use crate::error::Error;
use crate::kernels;
use crate::linear::Linear;
use crate::norm::{Norm, NormKind};
use crate::parameter::{Parameter, parameters};
use crate::rope::Placement;
use crate::weights::WeightReader;

/// The decoder with its embedding and head.
#[derive(Clone, Debug)]
pub struct TextModel {
    embed_tokens: Parameter<2>,
    /// The layers, from the embedding on.
    pub(crate) layers: Vec<Layer>,
    /// The norm after the last layer.
    pub(crate) norm: Norm,
    // None where the head is the embedding.
    lm_head: Option<Linear>,
}

/// A checkpoint's names of the parts of the decoder, without `.weight` and `.bias`.
#[derive(Clone, Copy, Debug)]
pub struct TextLayout {
    /// The embedding.
    pub embed_tokens: &'static str,
    /// What precedes a layer's number; the names that follow here come after it.
    pub layers: &'static str,
    /// The norm before attention.
    pub input_layernorm: &'static str,
    /// The projections to queries, keys and values.
    pub qkv: QkvLayout,
    /// The projection of the attention's output.
    pub o_proj: &'static str,
    /// The norm before the feed-forward layer.
    pub post_attention_layernorm: &'static str,
    /// Inside the feed-forward layer.
    pub gate_proj: &'static str,
    /// Inside the feed-forward layer.
    pub up_proj: &'static str,
    /// Out of the feed-forward layer.
    pub down_proj: &'static str,
    /// The last norm.
    pub norm: &'static str,
    /// The head, where it is not the embedding.
    pub lm_head: &'static str,
}

impl TextLayout {
    /// The layout of Qwen2 and of Llama, between a family's own names.
    pub(crate) const fn qwen2([embed_tokens, layers, norm, lm_head]: [&'static str; 4]) -> Self {
        Self {
            embed_tokens,
            layers,
            input_layernorm: "input_layernorm",
            qkv: QkvLayout::Separate(["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"]),
            o_proj: "self_attn.o_proj",
            post_attention_layernorm: "post_attention_layernorm",
            gate_proj: "mlp.gate_proj",
            up_proj: "mlp.up_proj",
            down_proj: "mlp.down_proj",
            norm,
            lm_head,
        }
    }
}

impl TextModel {
    /// Reads the model's weights.
    ///
    /// Errors: as [`WeightReader::parameter`].
    pub fn load(reader: &mut WeightReader, config: &TextConfig, layout: &TextLayout) -> Result<Self, Error> {
        let (d, v) = (config.hidden_size, config.vocab_size);
        let [embed_key, head_key] = [layout.embed_tokens, layout.lm_head].map(|name| format!("{name}.weight"));
        let embed_tokens = reader.parameter(&embed_key, [v, d])?;
        let layers = (0..config.num_hidden_layers)
            .map(|index| Layer::load(reader, &format!("{}.{index}", layout.layers), config, layout))
            .collect::<Result<_, _>>()?;
        let norm = Norm::load(reader, layout.norm, d, (NormKind::Rms, config.rms_norm_eps))?;
        let lm_head = if config.tie_word_embeddings {
            reader.tie(&head_key, &embed_key, [v, d])?;
            None
        } else {
            Some(Linear::load(reader, layout.lm_head, [v, d], false)?)
        };
        Ok(Self { embed_tokens, layers, norm, lm_head })
    }

    /// Looks tokens up. Shapes: `[n]` → `[n, d]`.
    pub fn embed(&self, ids: Tensor<1, Int>) -> Tensor<2> {
        kernels::embedding(self.embed_tokens.value(), ids)
    }

    /// Runs the decoder over embedded tokens.
    ///
    /// Shapes: `[b·t, d]` → `[b·t, d]`, final norm applied. Rows of padding are meaningless.
    pub(crate) fn forward(&self, embedded: Tensor<2>, context: &AttentionContext) -> Tensor<2> {
        self.forward_with(embedded, |_, attention, x| attention.forward(x, context))
    }

    /// Computes the keys and values of embedded tokens in every layer, and nothing that comes after them: of the last
    /// layer, only keys and values. Shapes: `[b·t, d]` → one [`KeyValues`] a layer.
    pub(crate) fn prefill(&self, embedded: Tensor<2>, tokens: Placement, config: &TextConfig) -> Vec<KeyValues> {
        let context = AttentionContext::for_sampling(tokens, config);
        let Some((last, before)) = self.layers.split_last() else {
            return Vec::new();
        };
        let mut cached = Vec::with_capacity(self.layers.len());
        let mut hidden = embedded;
        for layer in before {
            hidden = layer.forward(hidden, |x| {
                let (attended, key_values) = layer.self_attn.prefill(x, &context);
                cached.push(key_values);
                attended
            });
        }
        cached.push(last.self_attn.key_values(last.input_layernorm.forward(hidden), &context));
        cached
    }

    /// Lays every layer out for passes of few rows, as [`Linear::prepare_for_sampling`] says; a tied head becomes a
    /// layer of its own.
    pub(crate) fn prepare_for_sampling(&mut self) {
        self.visit_linears(&mut Linear::prepare_for_sampling);
        let mut head = self.lm_head.take().unwrap_or_else(|| Linear::from_weight(self.embed_tokens.clone(), None));
        head.prepare_for_sampling();
        self.lm_head = Some(head);
    }

    /// Runs the decoder with the caller's attention, which gets the layer's index, its projections, and the rows
    /// `[n, d]` that attend. Shapes: `[n, d]` → `[n, d]`, final norm applied.
    pub(crate) fn forward_with(
        &self,
        embedded: Tensor<2>,
        mut attend: impl FnMut(usize, &Attention, Tensor<2>) -> Tensor<2>,
    ) -> Tensor<2> {
        let mut hidden = embedded;
        for (index, layer) in self.layers.iter().enumerate() {
            hidden = layer.forward(hidden, |x| attend(index, &layer.self_attn, x));
        }
        self.norm.forward(hidden)
    }

    /// Runs one layer. Shapes: `[b·t, d]` → `[b·t, d]`.
    pub(crate) fn forward_layer(&self, index: usize, hidden: Tensor<2>, context: &AttentionContext) -> Tensor<2> {
        let layer = &self.layers[index];
        layer.forward(hidden, |x| layer.self_attn.forward(x, context))
    }

    /// The head's weight, `[v, d]`: the embedding's where they are one.
    pub(crate) fn head_weight(&self) -> Tensor<2> {
        match &self.lm_head {
            Some(head) => head.weight(),
            None => self.embed_tokens.value(),
        }
    }

    /// Scores of every token of the vocabulary. Shapes: `[n, d]` → `[n, v]`.
    pub fn logits(&self, hidden: Tensor<2>) -> Tensor<2> {
        match &self.lm_head {
            Some(head) => head.forward(hidden),
            None => kernels::linear(hidden, self.embed_tokens.value(), None),
        }
    }

    /// Where the weights live, without autodiff.
    pub fn device(&self) -> Device {
        self.embed_tokens.value().device().without_autodiff()
    }

    /// Shows every linear layer of the decoder, which LoRA may adapt; the head is not among them.
    pub fn visit_linears(&mut self, visit: &mut dyn FnMut(&mut Linear)) {
        for layer in &mut self.layers {
            layer.self_attn.linears().for_each(&mut *visit);
            layer.mlp.linears().into_iter().for_each(&mut *visit);
        }
    }
}

parameters!(TextModel: embed_tokens, layers, norm, lm_head);

/// One layer: attention, then feed-forward.
#[derive(Clone, Debug)]
pub(crate) struct Layer {
    input_layernorm: Norm,
    self_attn: Attention,
    post_attention_layernorm: Norm,
    mlp: FeedForward,
}

impl Layer {
    fn load(reader: &mut WeightReader, key: &str, config: &TextConfig, layout: &TextLayout) -> Result<Self, Error> {
        let (d, kind) = (config.hidden_size, (NormKind::Rms, config.rms_norm_eps));
        let [before, after] =
            [layout.input_layernorm, layout.post_attention_layernorm].map(|name| format!("{key}.{name}"));
        Ok(Self {
            input_layernorm: Norm::load(reader, &before, d, kind)?,
            self_attn: Attention::load(reader, key, config, layout.qkv, layout.o_proj)?,
            post_attention_layernorm: Norm::load(reader, &after, d, kind)?,
            mlp: FeedForward::load(reader, key, [d, config.intermediate_size], layout)?,
        })
    }

    fn forward(&self, hidden: Tensor<2>, attend: impl FnOnce(Tensor<2>) -> Tensor<2>) -> Tensor<2> {
        let hidden = hidden.clone() + attend(self.input_layernorm.forward(hidden));
        hidden.clone() + self.mlp.forward(self.post_attention_layernorm.forward(hidden))
    }
}

parameters!(Layer: input_layernorm, self_attn, post_attention_layernorm, mlp);

/// `down(silu(gate(x)) · up(x))` (Shazeer, arXiv 2002.05202).
#[derive(Clone, Debug)]
struct FeedForward {
    gate_proj: Linear,
    up_proj: Linear,
    down_proj: Linear,
}

impl FeedForward {
    fn load(reader: &mut WeightReader, key: &str, [d, inner]: [usize; 2], layout: &TextLayout) -> Result<Self, Error> {
        Ok(Self {
            gate_proj: Linear::load(reader, &format!("{key}.{}", layout.gate_proj), [inner, d], false)?,
            up_proj: Linear::load(reader, &format!("{key}.{}", layout.up_proj), [inner, d], false)?,
            down_proj: Linear::load(reader, &format!("{key}.{}", layout.down_proj), [d, inner], false)?,
        })
    }

    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let (gate, up) = (self.gate_proj.forward(x.clone()), self.up_proj.forward(x));
        self.down_proj.forward(kernels::swiglu(gate, up))
    }

    fn linears(&mut self) -> [&mut Linear; 3] {
        [&mut self.gate_proj, &mut self.up_proj, &mut self.down_proj]
    }
}

parameters!(FeedForward: gate_proj, up_proj, down_proj);
