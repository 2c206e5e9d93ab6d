# Loads this folder in transformers: AutoModelForSequenceClassification.from_pretrained(folder, trust_remote_code=True).
# Licence: Apache-2.0.
import torch
from torch import nn
from transformers import BertModel, BertPreTrainedModel
from transformers.activations import ACT2FN
from transformers.modeling_outputs import SequenceClassifierOutput


class LabelstreamForSequenceClassification(BertPreTrainedModel):
    """BERT, its token vectors pooled to one, dense layers (if any), one logit a label."""

    # The base encoder's pooler stays in the file, byte for byte, also where the mean is taken instead.
    _keys_to_ignore_on_load_unexpected = [r"bert\.pooler"]

    def __init__(self, config):
        super().__init__(config)
        block = config.labelstream
        self.pooling = block["pooling"]
        self.bert = BertModel(config, add_pooling_layer=self.pooling == "pooler")
        self.activation = ACT2FN[block["headActivation"]]
        self.dropout = nn.Dropout(config.classifier_dropout or config.hidden_dropout_prob)
        sizes = [config.hidden_size, *block["headHiddenSizes"]]
        self.head = nn.ModuleList(nn.Linear(before, after) for before, after in zip(sizes, sizes[1:]))
        self.classifier = nn.Linear(sizes[-1], config.num_labels)
        self.post_init()

    def forward(self, input_ids=None, attention_mask=None, token_type_ids=None, labels=None, **_):
        if attention_mask is None:
            attention_mask = torch.ones_like(input_ids)
        outputs = self.bert(input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids)
        tokens = outputs.last_hidden_state
        if self.pooling == "mean":
            mask = attention_mask.unsqueeze(-1).to(tokens.dtype)
            vector = (tokens * mask).sum(1) / mask.sum(1).clamp(min=1)
        else:
            vector = tokens[:, 0] if self.pooling == "cls" else outputs.pooler_output
        for layer in self.head:
            vector = self.activation(layer(self.dropout(vector)))
        logits = self.classifier(self.dropout(vector))
        loss = None if labels is None else nn.functional.binary_cross_entropy_with_logits(logits, labels.to(logits.dtype))
        return SequenceClassifierOutput(loss=loss, logits=logits)
