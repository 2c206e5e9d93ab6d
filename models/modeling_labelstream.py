# Loads this folder in transformers: AutoModelForSequenceClassification.from_pretrained(folder, trust_remote_code=True).
# Licence: Apache-2.0.
import torch
from torch import nn
from transformers import (
    AutoModel,
    BertPreTrainedModel,
    CamembertPreTrainedModel,
    DistilBertPreTrainedModel,
    RobertaPreTrainedModel,
    XLMRobertaPreTrainedModel,
)
from transformers.activations import ACT2FN
from transformers.modeling_outputs import SequenceClassifierOutput


def build(module, config, labels):
    """Gives a module the encoder, dense layers (if any) and a linear layer with one logit a label."""
    block = config.labelstream
    module.pooling = block["pooling"]
    has_pooler = {} if config.model_type == "distilbert" else {"add_pooling_layer": module.pooling == "pooler"}
    encoder = AutoModel.from_config(config, **has_pooler)
    # the name that the family's files have for it: bert, roberta, distilbert
    module.encoder_name = encoder.base_model_prefix
    setattr(module, module.encoder_name, encoder)
    module.activation = ACT2FN[block["headActivation"]]
    rates = [getattr(config, name, None) for name in ("classifier_dropout", "seq_classif_dropout", "hidden_dropout_prob")]
    module.dropout = nn.Dropout(next((rate for rate in rates if rate is not None), 0.0))
    sizes = [config.hidden_size, *block["headHiddenSizes"]]
    module.head = nn.ModuleList(nn.Linear(before, after) for before, after in zip(sizes, sizes[1:]))
    module.classifier = nn.Linear(sizes[-1], labels)


def logits_of(module, input_ids, attention_mask):
    outputs = getattr(module, module.encoder_name)(input_ids, attention_mask=attention_mask)
    tokens = outputs.last_hidden_state
    if module.pooling == "mean":
        mask = attention_mask.unsqueeze(-1).to(tokens.dtype)
        vector = (tokens * mask).sum(1) / mask.sum(1).clamp(min=1)
    else:
        vector = tokens[:, 0] if module.pooling == "cls" else outputs.pooler_output
    for layer in module.head:
        vector = module.activation(layer(module.dropout(vector)))
    return module.classifier(module.dropout(vector))


class OneLabel(nn.Module):
    def __init__(self, config):
        super().__init__()
        build(self, config, 1)


class MultiLabel:
    """One classifier for all labels or, with separateEncoders, one for each."""

    # What else a base encoder's file has stays in the file of a head on it, byte for byte.
    _keys_to_ignore_on_load_unexpected = [r"(^|\.)pooler\.", r"^(cls|lm_head|vocab_\w+)\."]

    def __init__(self, config):
        super().__init__(config)
        self.separate = config.labelstream.get("separateEncoders", False)
        if self.separate:
            self.label = nn.ModuleList(OneLabel(config) for _ in range(config.num_labels))
        else:
            build(self, config, config.num_labels)
        self.post_init()

    # every token is of type 0
    def forward(self, input_ids=None, attention_mask=None, token_type_ids=None, labels=None, **_):
        if attention_mask is None:
            attention_mask = torch.ones_like(input_ids)
        parts = self.label if self.separate else [self]
        logits = torch.cat([logits_of(part, input_ids, attention_mask) for part in parts], dim=1)
        loss = None if labels is None else nn.functional.binary_cross_entropy_with_logits(logits, labels.to(logits.dtype))
        return SequenceClassifierOutput(loss=loss, logits=logits)


class LabelstreamForSequenceClassification(MultiLabel, BertPreTrainedModel):
    pass


class LabelstreamRobertaForSequenceClassification(MultiLabel, RobertaPreTrainedModel):
    pass


class LabelstreamXLMRobertaForSequenceClassification(MultiLabel, XLMRobertaPreTrainedModel):
    pass


class LabelstreamCamembertForSequenceClassification(MultiLabel, CamembertPreTrainedModel):
    pass


class LabelstreamDistilBertForSequenceClassification(MultiLabel, DistilBertPreTrainedModel):
    pass
