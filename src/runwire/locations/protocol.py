"""What a workspace, its code servers and their run workers say to one another.

The messages are JSON: a run config or a schema may hold whole numbers of any size, which msgpack refuses.
A message with an unknown or missing field is malformed. What can go wrong by design travels in the
replies; gRPC's status codes are for what should not: INVALID_ARGUMENT for a malformed message,
UNIMPLEMENTED for an unknown method.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import msgspec

from runwire.definitions import RetryMode
from runwire.error_info import ErrorInfo
from runwire.errors import ConfigProblem
from runwire.events.entry import encode_storable
from runwire.snapshots import CodeServerInfo, PlanSnapshot, RepositorySnapshot
from runwire.ticks.evaluation import SensorInput, TickEvaluation

SERVICE = "runwire.CodeServer"
MAX_MESSAGE_BYTES = 64 * 1024 * 1024


class Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The root of all messages."""


# ------------------------------------------------------------- what processes are started with


class DefinitionSource(Message, frozen=True):
    """Where definitions are, in absolute paths; `module` counts if there is no file.

    They are imported from `working_directory`, from the file's own folder if it is None. The processes run
    in `directory`.
    """

    python_file: str | None
    module: str
    attribute: str | None
    working_directory: str | None
    directory: str


class EvaluatorParameters(Message, frozen=True):
    """What a process that evaluates is handed: the definitions, and where their imports come from."""

    source: DefinitionSource
    sys_path: tuple[str, ...]


class CodeServerParameters(Message, frozen=True):
    """The line that a code server reads at its start.

    The folder of the socket is its own to remove. It tells that it is ready by writing to `ready_fd`.
    `preload` are the modules of the instance's components, which run workers will need.
    """

    location_name: str
    source: DefinitionSource
    socket_path: str
    ready_fd: int
    start_timeout_seconds: float
    preload: tuple[str, ...] = ()


class Ready(Message, frozen=True, tag=True):
    """The line that a code server writes once it serves."""

    server: CodeServerInfo


class NotReady(Message, frozen=True, tag=True):
    """The line that a code server writes before it gives up: its definitions do not end loading."""

    error: ErrorInfo


class WorkerParameters(Message, frozen=True):
    """What a run worker is handed at its start. `instance_ref` is `InstanceRef.to_dict()`.

    `fork_socket` is where its fork server listens, for step processes; None where processes are spawned.
    """

    run_id: str
    job_name: str
    repository_name: str
    epoch: int
    instance_ref: dict[str, Any]
    source: DefinitionSource
    sys_path: tuple[str, ...]
    fork_socket: str | None = None


class StepParameters(Message, frozen=True):
    """What a step process is handed at its start; `run` is the run, `given` the outputs that its inputs take.

    An output is (step key, output name, the run that stored it, the epoch of its worker then).
    `attempt` is the number of this attempt at the step, the first is 1; `retries` of those before it have failed
    and asked for another, and `retry_mode` says whether this one may.
    """

    worker: WorkerParameters
    run: dict[str, Any]
    step_key: str
    given: tuple[tuple[str, str, str, int], ...]
    io_base_dir: str
    attempt: int = 1
    retries: int = 0
    retry_mode: RetryMode = RetryMode.ENABLED


# ------------------------------------------------------------------------ requests and replies


class PingRequest(Message, frozen=True):
    """Asks whether the server answers, and who it is."""


class PingReply(Message, frozen=True):
    """The server answers."""

    server: CodeServerInfo


class ListRepositoriesRequest(Message, frozen=True):
    """Asks for the definitions."""


class RepositoriesLoaded(Message, frozen=True, tag=True):
    """The definitions, and the files below their folder that were imported for them."""

    repositories: tuple[RepositorySnapshot, ...]
    source_files: tuple[str, ...] = ()


class LoadFailed(Message, frozen=True, tag=True):
    """Why there are no definitions."""

    error: ErrorInfo
    source_files: tuple[str, ...] = ()


class PlanRunRequest(Message, frozen=True):
    """Asks to check a run config and to make a plan."""

    repository_name: str
    job_name: str
    run_config: dict[str, Any]
    step_keys: tuple[str, ...] | None


class PlanMade(Message, frozen=True, tag=True):
    """The plan; the run config fits."""

    plan: PlanSnapshot


class RunConfigRefused(Message, frozen=True, tag=True):
    """Every problem of the run config."""

    problems: tuple[ConfigProblem, ...]


class StepKeysRefused(Message, frozen=True, tag=True):
    """What is wrong with the step keys, and where in them."""

    message: str
    path: tuple[str, ...]


class JobMissing(Message, frozen=True, tag=True):
    """The location does not have the job; these it has."""

    known: tuple[str, ...]


class EvaluateScheduleRequest(Message, frozen=True):
    """Asks what a schedule gives that is due at an instant, in epoch seconds, within so many seconds."""

    repository_name: str
    schedule_name: str
    due_at: float
    timeout_seconds: float


class EvaluateSensorRequest(Message, frozen=True):
    """Asks what a sensor gives, within so many seconds."""

    repository_name: str
    sensor_name: str
    given: SensorInput
    timeout_seconds: float


class TickEvaluated(Message, frozen=True, tag=True):
    """What it gave."""

    evaluation: TickEvaluation


class EvaluationFailed(Message, frozen=True, tag=True):
    """What its function raised, or what is wrong with what it gave."""

    error: ErrorInfo


class ConfigurePartitionRequest(Message, frozen=True):
    """Asks for the run config of a partition of a job, within so many seconds."""

    repository_name: str
    job_name: str
    partition_key: str
    timeout_seconds: float


class PartitionConfigured(Message, frozen=True, tag=True):
    """The run config that the job's function gave."""

    run_config: dict[str, Any]


class ScheduleMissing(Message, frozen=True, tag=True):
    """The location does not have the schedule; these it has."""

    known: tuple[str, ...]


class SensorMissing(Message, frozen=True, tag=True):
    """The location does not have the sensor; these it has."""

    known: tuple[str, ...]


class NotEvaluated(Message, frozen=True, tag=True):
    """Why nothing was evaluated, through no fault of what was to be."""

    error: ErrorInfo


class StartWorkerRequest(Message, frozen=True):
    """Asks for a run worker."""

    run_id: str
    job_name: str
    repository_name: str
    epoch: int
    instance_ref: dict[str, Any]


class WorkerStarted(Message, frozen=True, tag=True):
    """The process of the worker."""

    pid: int


class WorkerNotStarted(Message, frozen=True, tag=True):
    """Why there is no process."""

    error: ErrorInfo


class CheckWorkerRequest(Message, frozen=True):
    """Asks whether the worker of an epoch lives, whoever started it."""

    run_id: str
    epoch: int
    instance_ref: dict[str, Any]


class CheckWorkerReply(Message, frozen=True):
    """Its health: a name of `WorkerStatus`, and words."""

    status: str
    message: str


class StopWorkerRequest(Message, frozen=True):
    """Asks to stop the workers of a run up to an epoch, and to kill them after a grace in seconds."""

    run_id: str
    epoch: int
    instance_ref: dict[str, Any]
    grace_seconds: float


class StopWorkerReply(Message, frozen=True):
    """Whether a live worker was asked or killed."""

    asked: bool


class ShutdownRequest(Message, frozen=True):
    """Asks the server to end. Its run workers go on; with `drain` it waits for them to end first.

    While it drains it starts no new ones, but forks the step processes of those that it has.
    """

    drain: bool = False


class ShutdownReply(Message, frozen=True):
    """The server will end."""


# ------------------------------------------------------------------------------------- methods

Request = TypeVar("Request", bound=Message)
Reply = TypeVar("Reply", bound=Message)
Line = TypeVar("Line", bound=Message)


@dataclass(frozen=True)
class Method(Generic[Request, Reply]):
    """A method of the service: its name, its request, and its reply or union of replies."""

    name: str
    request_type: type[Request]
    reply_type: Any
    _requests: msgspec.json.Decoder[Any] = field(init=False, repr=False, compare=False)
    _replies: msgspec.json.Decoder[Any] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_requests", msgspec.json.Decoder(self.request_type))
        object.__setattr__(self, "_replies", msgspec.json.Decoder(self.reply_type))

    @property
    def path(self) -> str:
        """The name by which gRPC knows it."""
        return f"/{SERVICE}/{self.name}"

    def decode_request(self, body: bytes) -> Request:
        """Raises msgspec.MsgspecError or UnicodeDecodeError when the body is malformed."""
        request: Request = self._requests.decode(body)
        return request

    def decode_reply(self, body: bytes) -> Reply:
        """Raises msgspec.MsgspecError or UnicodeDecodeError when the body is malformed."""
        reply: Reply = self._replies.decode(body)
        return reply


PING: Method[PingRequest, PingReply] = Method("Ping", PingRequest, PingReply)
LIST_REPOSITORIES: Method[ListRepositoriesRequest, RepositoriesLoaded | LoadFailed] = Method(
    "ListRepositories", ListRepositoriesRequest, RepositoriesLoaded | LoadFailed
)
PlanReply = PlanMade | RunConfigRefused | StepKeysRefused | JobMissing | LoadFailed
PLAN_RUN: Method[PlanRunRequest, PlanReply] = Method("PlanRun", PlanRunRequest, PlanReply)
EvaluateReply = TickEvaluated | EvaluationFailed | ScheduleMissing | NotEvaluated | LoadFailed
EVALUATE_SCHEDULE: Method[EvaluateScheduleRequest, EvaluateReply] = Method(
    "EvaluateSchedule", EvaluateScheduleRequest, EvaluateReply
)
EvaluateSensorReply = TickEvaluated | EvaluationFailed | SensorMissing | NotEvaluated | LoadFailed
EVALUATE_SENSOR: Method[EvaluateSensorRequest, EvaluateSensorReply] = Method(
    "EvaluateSensor", EvaluateSensorRequest, EvaluateSensorReply
)
ConfigureReply = PartitionConfigured | EvaluationFailed | JobMissing | NotEvaluated | LoadFailed
CONFIGURE_PARTITION: Method[ConfigurePartitionRequest, ConfigureReply] = Method(
    "ConfigurePartition", ConfigurePartitionRequest, ConfigureReply
)
StartReply = WorkerStarted | WorkerNotStarted | LoadFailed
START_WORKER: Method[StartWorkerRequest, StartReply] = Method(
    "StartWorker", StartWorkerRequest, StartReply
)
CHECK_WORKER: Method[CheckWorkerRequest, CheckWorkerReply] = Method(
    "CheckWorker", CheckWorkerRequest, CheckWorkerReply
)
STOP_WORKER: Method[StopWorkerRequest, StopWorkerReply] = Method(
    "StopWorker", StopWorkerRequest, StopWorkerReply
)
SHUTDOWN: Method[ShutdownRequest, ShutdownReply] = Method(
    "Shutdown", ShutdownRequest, ShutdownReply
)

_encoder = msgspec.json.Encoder()


def encode(message: Message) -> bytes:
    """A message as one line of JSON, lone surrogates in its texts escaped.

    Raises:
        TypeError, ValueError: a value in it is not JSON.
    """
    return encode_storable(_encoder, message)


def decode_line(line: bytes, line_type: type[Line]) -> Line:
    """Reads the line that a process was started with."""
    return msgspec.json.decode(line, type=line_type)
