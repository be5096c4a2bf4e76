"""The demo's seamwatch.yaml: a complete, commented configuration of a small pipeline."""

from __future__ import annotations

from collections.abc import Mapping

from seamwatch.demo.ingest import STATE

PIPELINE = "feature-answers"
STAGES = ("ingest", "embedding", "index", "cache", "decision", "answer")  # in the order of ports

TEMPLATE = """\
# The demo's pipeline: four teams answer "can I use this web feature yet?".
# Written by `seamwatch demo`; read it as an example for your own. Paths are relative to this file.
teams:
  data: {{}}
  ml: {{}}
  platform: {{}}
  product: {{}}

pipelines:
  {pipeline}:
    owner: platform            # the one team that is paged for the whole
    stages:
      ingest:                  # copies a mirror into SQL every 3 s
        team: data
        kind: source
        every: 2s
        data_age: 20s          # several runs of the job
        source:
          sql:                 # one row, columns named like the fields of the stage contract
            url: sqlite:///documents.db
            query: |
{query}
      embedding:               # turns text into vectors; keeps no copy of the data
        team: ml
        kind: embedding
        after: ingest
        every: 2s
        source: {{http: {{url: {embedding}/meta}}}}
      index:                   # says which batch and which embedding it was built from
        team: data
        kind: index
        after: [ingest, embedding]
        every: 2s
        source: {{file: {{path: index.json}}}}   # the manifest that the build writes
      cache:
        team: platform
        kind: cache
        after: index
        every: 2s
        source: {{http: {{url: {cache}/meta}}}}
      decision:                # abstains under a threshold that was tuned on one embedding
        team: product
        kind: decision
        after: [index, cache]
        tuned_on: embedding
        every: 2s
        source: {{http: {{url: {decision}/meta}}}}
      answer:
        team: platform
        kind: model
        after: decision
        every: 2s
        source: {{http: {{url: {answer}/meta}}}}
    model:                     # how to ask the live pipeline one question
      http:
        url: {answer}/answer
        json: {{question: "{{{{ input.question }}}}"}}
        answer: label
        score: score
        answered_by: answered_by
      timeout: 5s
    golden:                    # questions whose answers are known, asked all the time
      file: golden.jsonl
      task: multiclass
      labels: [limited, newly, widely]
      refusals: abstain        # right where the question is off topic, else it counts as refused
      every: 50ms              # far more often than in real life, so that the demo is quick;
                               # the accuracy is over one pass, about half a minute here
    slos:
      freshness: {{data_age: 45s, objective: 99%}}
      accuracy: {{at_least: 92%, objective: 99%}}
      availability: {{at_least: 99%, objective: 99.5%}}

store: sqlite:///seamwatch.db
web: {{listen: "127.0.0.1:{port}"}}
"""


def configuration(addresses: Mapping[str, str], *, port: int) -> str:
    """Return the text of seamwatch.yaml for a pipeline that listens at *addresses*."""
    query = "\n".join(" " * 14 + line for line in STATE.strip().splitlines())
    return TEMPLATE.format(pipeline=PIPELINE, port=port, query=query, **addresses)
