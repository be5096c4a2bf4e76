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
        candidate: candidate   # what it would have said if there were no threshold
      timeout: 5s
      repairs:                 # how to ask as if one suspect were healthy; whoever wins answers
                               # back is to blame for them
        late-data:             # a shadow deployment with an index built from the newest release
          blames: ingest
          url: {shadow}/answer
        stale-cache:           # go past the cache
          blames: cache
          headers: {{Cache-Control: no-cache}}
        wrong-threshold:       # decide again, from candidate and score; costs no question
          blames: decision
          threshold: best
        embedding-skew:        # encode the question with the encoder that the index was built with
          blames: embedding
          parameters: {{encoder: index}}
        fallback-model:        # take the slot that is kept for priority
          blames: answer
          parameters: {{tier: priority}}
      attribution:             # far more than in real life: a question costs nothing here
        max_probes: 2000
        per_day: 100000
        every: 1m
    golden:                    # questions whose answers are known, asked all the time
      file: golden.jsonl
      task: multiclass
      labels: [limited, newly, widely]
      refusals: abstain        # right where the question is off topic, else it counts as refused
      every: 50ms              # far more often than in real life, so that the demo is quick;
                               # the accuracy is over one pass, about half a minute here
      canary: canary.jsonl     # answers whose verdict is known: is the judge itself in order?
    threshold:                 # compared with the best one for today's scores
      stage: decision
    quality:
      not_empty: true
      refusal: {{at_most: 5%}}   # of the questions that have an answer
      score_drift: {{psi_at_most: 0.25}}
    gate:                      # when a drop counts as real
      mode: enforce            # whoever asks it is stopped: demo/front.py, which users talk to
      on_unknown: allow        # before the first answers
      floor: 91%               # 94 % when it was blessed, less 3
      burst: {{factor: 1}}       # it asks as fast as it should already
      stale_after: 10s
      resume: {{mode: automatic, min_halt: 10s}}   # `seamwatch demo heal` is to be enough here
    slos:
      freshness: {{data_age: 45s, objective: 99%}}
      accuracy: {{at_least: 92%, objective: 99%}}
      quality: {{at_least: 97%, objective: 99%}}
      availability: {{at_least: 99%, objective: 99.5%}}

store: sqlite:///seamwatch.db
web: {{listen: "127.0.0.1:{port}"}}
"""


def configuration(addresses: Mapping[str, str], *, port: int) -> str:
    """Return the text of seamwatch.yaml for a pipeline that listens at *addresses*."""
    query = "\n".join(" " * 14 + line for line in STATE.strip().splitlines())
    return TEMPLATE.format(pipeline=PIPELINE, port=port, query=query, **addresses)
