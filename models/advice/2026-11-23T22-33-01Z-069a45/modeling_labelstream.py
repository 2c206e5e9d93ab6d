# Loads this folder in transformers: AutoModelForSequenceClassification.from_pretrained(folder, trust_remote_code=True).
# Licence: Apache-2.0.
import torch
from torch import nn
from transformers import BertModel, BertPreTrainedModel
from transformers.activations import ACT2FN
from transformers.modeling_outputs import SequenceClassifierOutput


def build(module, config, labels):
    """Gives a module BERT, dense layers (if any) and a linear layer with one logit a label."""
    block = config.labelstream
    module.pooling = block["pooling"]
    module.bert = BertModel(config, add_pooling_layer=module.pooling == "pooler")
    module.activation = ACT2FN[block["headActivation"]]
    module.dropout = nn.Dropout(config.classifier_dropout or config.hidden_dropout_prob)
    sizes = [config.hidden_size, *block["headHiddenSizes"]]
    module.head = nn.ModuleList(nn.Linear(before, after) for before, after in zip(sizes, sizes[1:]))
    module.classifier = nn.Linear(sizes[-1], labels)


def logits_of(module, input_ids, attention_mask, token_type_ids):
    outputs = module.bert(input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids)
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


class LabelstreamForSequenceClassification(BertPreTrainedModel):
    """One classifier for all labels or, with separateEncoders, one for each."""

    # The base encoder's pooler stays in the file, byte for byte, also where the mean is taken instead.
    _keys_to_ignore_on_load_unexpected = [r"bert\.pooler"]

    def __init__(self, config):
        super().__init__(config)
        self.separate = config.labelstream.get("separateEncoders", False)
        if self.separate:
            self.label = nn.ModuleList(OneLabel(config) for _ in range(config.num_labels))
        else:
            build(self, config, config.num_labels)
        self.post_init()

    def forward(self, input_ids=None, attention_mask=None, token_type_ids=None, labels=None, **_):
        if attention_mask is None:
            attention_mask = torch.ones_like(input_ids)
        parts = self.label if self.separate else [self]
        logits = torch.cat([logits_of(part, input_ids, attention_mask, token_type_ids) for part in parts], dim=1)
        loss = None if labels is None else nn.functional.binary_cross_entropy_with_logits(logits, labels.to(logits.dtype))
        return SequenceClassifierOutput(loss=loss, logits=logits)
