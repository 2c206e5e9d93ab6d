#!/usr/bin/env python3
"""PyTorch's side of training-pace: torch_pace.py JOB.json [--bf16]

The steps of job.json in a plain loop: transformers' BertModel with mean pooling and a linear head, cross-entropy summed
over labels and averaged over rows, fused AdamW with the same rates and decay, clipping at the same norm, linear
schedule. Token ids and batches come with the job. Prints one JSON line, as pace-ours.ts does.
"""
import argparse
import json
import os
import resource
import time

os.environ["HF_HUB_OFFLINE"] = "1"
import torch
import transformers
from torch.nn.functional import binary_cross_entropy_with_logits
from transformers import BertModel

parser = argparse.ArgumentParser()
parser.add_argument("job")
parser.add_argument("--bf16", action="store_true", help="autocast to bfloat16")
options = parser.parse_args()
with open(options.job, encoding="utf-8") as file:
    job = json.load(file)
hyper = job["hyperparameters"]
device = job["provider"]
torch.set_num_threads(job["threads"])
torch.manual_seed(hyper["seed"])
transformers.logging.set_verbosity_error()


class Classifier(torch.nn.Module):
    def __init__(self):
        super().__init__()
        dropout = hyper["dropout"]
        self.bert = BertModel.from_pretrained(
            job["encoderFolder"],
            add_pooling_layer=False,
            hidden_dropout_prob=dropout,
            attention_probs_dropout_prob=dropout,
            dtype=torch.float32,
        )
        self.dropout = torch.nn.Dropout(dropout)
        labels, hidden = len(job["labels"]), self.bert.config.hidden_size
        self.classifier = torch.nn.Linear(hidden, labels)
        with torch.no_grad():
            self.classifier.weight.copy_(torch.tensor(job["head"]["weight"]).view(labels, hidden))
            self.classifier.bias.copy_(torch.tensor(job["head"]["bias"]))

    def forward(self, ids, mask):
        hidden = self.bert(input_ids=ids, attention_mask=mask).last_hidden_state
        weights = mask.unsqueeze(-1).to(hidden.dtype)
        pooled = (hidden * weights).sum(1) / weights.sum(1)
        return self.classifier(self.dropout(pooled))


def collate(rows):
    windows = [job["windows"][row] for row in rows]
    width = max(map(len, windows))
    ids = torch.zeros(len(rows), width, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for place, window in enumerate(windows):
        ids[place, : len(window)] = torch.tensor(window)
        mask[place, : len(window)] = 1
    targets = torch.tensor([job["targets"][row] for row in rows], dtype=torch.float32)
    return ids.to(device), mask.to(device), targets.to(device)


def logits_of(ids, mask):
    with torch.autocast(device, dtype=torch.bfloat16, enabled=options.bf16):
        return model(ids, mask).float()


def parameter_groups():
    for is_head in (False, True):
        rate = hyper["headLearningRate" if is_head else "learningRate"]
        mine = [p for name, p in model.named_parameters() if name.startswith("classifier") == is_head]
        yield {"params": [p for p in mine if p.ndim > 1], "lr": rate, "weight_decay": hyper["weightDecay"]}
        yield {"params": [p for p in mine if p.ndim <= 1], "lr": rate, "weight_decay": 0.0}


def share_at(step):
    """Linear warm-up, then linear decay; steps count from 0."""
    total = job["totalSteps"]
    warmup = round(total * hyper["warmup"])
    if step < warmup:
        return (step + 1) / warmup
    return (total - step) / max(1, total - warmup)


model = Classifier().to(device)
model.eval()
with torch.inference_mode():
    ids, mask, targets = collate(job["batches"][0])
    start_loss = binary_cross_entropy_with_logits(logits_of(ids, mask), targets).item()
model.train()
optimiser = torch.optim.AdamW(list(parameter_groups()), fused=True)
schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, share_at)
step_seconds, losses, tokens = [], [], 0
for step, rows in enumerate(job["batches"]):
    started = time.perf_counter()
    ids, mask, targets = collate(rows)
    loss = binary_cross_entropy_with_logits(logits_of(ids, mask), targets, reduction="sum") / len(rows)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), hyper["clipNorm"])
    optimiser.step()
    schedule.step()
    optimiser.zero_grad(set_to_none=True)
    loss = loss.item() / len(job["labels"])
    if step >= job["warmupSteps"]:
        step_seconds.append(time.perf_counter() - started)
        losses.append(loss)
        tokens += int(mask.sum())
print(
    json.dumps(
        {
            "tokens": tokens,
            "seconds": sum(step_seconds),
            "medianStepMs": 1000 * sorted(step_seconds)[len(step_seconds) // 2],
            "peakMemoryBytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
            "startLoss": start_loss,
            "loss": sum(losses) / len(losses),
            "torch": torch.__version__,
            "transformers": transformers.__version__,
        }
    )
)
