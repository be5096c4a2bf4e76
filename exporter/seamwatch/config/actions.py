"""The sections under ``gate.actions``: one for each way to push a halt to where work is done.

A kind is one section here, one line in ActionSection, and one target in ``seamwatch.actions``.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from seamwatch.config.fields import Name, Period, Secret, Section, Texts, shown
from seamwatch.config.reach import HttpTarget

_NAMES = Field(min_length=1)
_NO_PATH = re.compile(r"[?#\s\x00-\x20\x7f]")


class WebhookAction(HttpTarget):
    """Any receiver of a CloudEvent, signed as Standard Webhooks has it."""

    secret: Secret | None = None
    """Key of the signature, `whsec_` and base64 or any text; written as `${NAME}`."""
    secret_file: str | None = None
    """File that holds the key."""

    @model_validator(mode="after")
    def _one_secret(self) -> Self:
        if self.secret is not None and self.secret_file is not None:
            raise ValueError("secret and secret_file exclude one another; give one of them")
        return self


class RedisAction(Section):
    """A Redis key that workers look at before they take work."""

    url: Secret
    """`redis://host:port/db`, `rediss://` or `unix://`; with a password as `${NAME}`."""
    key: str
    """The key; a hash with `state`, `generation`, `reason`, `at` is kept there."""


class ExecAction(Section):
    """Commands, run without a shell; `SEAMWATCH_*` in their environment says what is wanted."""

    halt: Annotated[Texts, _NAMES]
    """Command and arguments that halt; must do no harm when run twice."""
    resume: Annotated[Texts, _NAMES]
    """Command and arguments that let it run again; must do no harm when run twice."""
    check: Annotated[Texts, _NAMES] | None = None
    """Says how it is: exit status 0 running, 1 halted, any other: nobody can tell."""

    @model_validator(mode="after")
    def _are_commands(self) -> Self:
        for key in ("halt", "resume", "check"):
            command: tuple[str, ...] = getattr(self, key) or ("true",)
            program = command[0]
            if len(command) == 1 and len(program.split()) > 1:
                instead = f"[{', '.join(program.split())}]"
                raise ValueError(
                    f"{key}: {shown(program)} would be one word: there is no shell; write {instead}"
                )
            if not program or ("/" in program and not program.startswith("/")):
                raise ValueError(
                    f"{key}: {shown(program)} is not where a program is; write its whole path, or"
                    " a name that is on the PATH"
                )
            if any("\0" in word for word in command):
                raise ValueError(f"{key}: an argument cannot hold a NUL; remove it")
        return self


class AirflowAction(HttpTarget):
    """DAGs of Apache Airflow are paused; *url* is the server's base address."""

    dags: Annotated[Texts, _NAMES]
    """The DAGs to pause."""
    version: Literal["auto", "2", "3"] = "auto"
    """Which API the server has; asked once by default."""
    username: str | None = None
    """User to get a token for (Airflow 3); with `basic_auth` in Airflow 2."""
    password: Secret | None = None
    """Its password, written as `${NAME}`."""
    password_file: str | None = None
    """File that holds the password."""

    @model_validator(mode="after")
    def _one_login(self) -> Self:
        passwords = sum(given is not None for given in (self.password, self.password_file))
        if self.username is None and passwords:
            raise ValueError("a password without username; give both")
        if self.username is not None and passwords != 1:
            raise ValueError("username needs either password: ${ENV} or password_file")
        others = (self.basic_auth, self.bearer_token, self.bearer_token_file)
        if self.username is not None and any(given is not None for given in others):
            raise ValueError("username excludes basic_auth and bearer_token; give one of them")
        return self


class ArgoWorkflowsAction(HttpTarget):
    """CronWorkflows of Argo Workflows are suspended; *url* is the server's base address."""

    namespace: str = "default"
    """Their namespace."""
    cron_workflows: Annotated[Texts, _NAMES]
    """The CronWorkflows to suspend."""


class PatchSection(Section):
    """One object of Kubernetes and what halts it."""

    path: str
    """Path of the object in the API, e.g. `/apis/apps/v1/namespaces/ml/deployments/answers`."""
    halt: dict[str, Any]
    """Merge patch that halts it, e.g. `{spec: {replicas: 0}}`; what it replaces comes back."""

    @model_validator(mode="after")
    def _can_be_patched(self) -> Self:
        if not self.path.startswith("/") or _NO_PATH.search(self.path):
            raise ValueError(
                f"path {shown(self.path)} is not a path; write one such as"
                " /apis/apps/v1/namespaces/ml/deployments/answers"
            )
        metadata = self.halt.get("metadata", {})
        if not self.halt or not isinstance(metadata, dict) or "resourceVersion" in metadata:
            raise ValueError("halt changes nothing, or what is not its own; write fields of spec")
        return self


class KubernetesAction(HttpTarget):
    """Objects of Kubernetes are patched; *url* is the API server's address."""

    patches: Annotated[list[PatchSection], _NAMES]
    """The objects, each with what halts it."""

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        paths = [patch.path for patch in self.patches]
        for path in paths:
            if paths.count(path) > 1:
                raise ValueError(f"{path} is there twice; write all that halts it in one patch")
        return self


class OpenInferenceAction(HttpTarget):
    """Models of an Open Inference Protocol server are unloaded; *url* is its base address."""

    models: Annotated[Texts, _NAMES]
    """The models to unload."""


AnyAction = (
    WebhookAction
    | RedisAction
    | ExecAction
    | AirflowAction
    | ArgoWorkflowsAction
    | KubernetesAction
    | OpenInferenceAction
)

_KINDS = (
    "webhook",
    "redis",
    "exec",
    "airflow",
    "argo_workflows",
    "kubernetes",
    "open_inference",
)


class ActionSection(Section):
    """Something that is told to halt and to run again; exactly one kind."""

    webhook: WebhookAction | None = None
    """A receiver of signed CloudEvents."""
    redis: RedisAction | None = None
    """A Redis key."""
    exec: ExecAction | None = None
    """Commands."""
    airflow: AirflowAction | None = None
    """DAGs of Airflow 2 or 3."""
    argo_workflows: ArgoWorkflowsAction | None = None
    """CronWorkflows of Argo Workflows."""
    kubernetes: KubernetesAction | None = None
    """Objects of Kubernetes."""
    open_inference: OpenInferenceAction | None = None
    """Models of a model server."""
    name: Name | None = None
    """How metrics and the audit call it; its kind by default."""
    required: bool = True
    """Whether a halt is effective only once this confirms it."""
    dry_run: bool = False
    """Write into the audit what would be sent, and send nothing."""
    on_drift: Literal["yield", "reapply"] = "yield"
    """When somebody lets go on what is halted. `yield`: put back twice, then left alone for
    an hour; `reapply`: put back each time.
    """
    timeout: Period = 10.0
    """Time that one attempt may take."""
    check_every: Period = 30.0
    """Time between two looks whether what was halted still is."""

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        given = [kind for kind in _KINDS if getattr(self, kind) is not None]
        if len(given) != 1:
            found = " and ".join(given) or "none"
            raise ValueError(f"{found} given; give exactly one kind: {', '.join(_KINDS)}")
        return self

    @property
    def kind(self) -> str:
        """The name of the kind that is given."""
        return next(kind for kind in _KINDS if getattr(self, kind) is not None)

    @property
    def section(self) -> AnyAction:
        """The section of that kind."""
        section: AnyAction = getattr(self, self.kind)
        return section

    @property
    def target(self) -> str:
        """How metrics, orders and the audit call it."""
        return self.name or self.kind
