"""Reads the functions that users write: their context, their config model, their other parameters."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from inspect import Parameter
from types import FunctionType, SimpleNamespace
from typing import Any

from pydantic import BaseModel, RootModel

from runwire.definitions.json_schema import SCHEMA_ERRORS, schema_of
from runwire.definitions.places import refusal

CONTEXT = "context"
CONFIG = "config"

_KINDS = (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)


@dataclass(frozen=True)
class Reader:
    """Reads one function.

    Attributes:
        fn: the function.
        source: where it stands, as ``file:line``.
        subject: what it defines, such as ``op 'load'``.
        namespace: the names that its annotations may use besides those of its module.
    """

    fn: Callable[..., Any]
    source: str
    subject: str
    namespace: Mapping[str, Any]

    def refusal(self, problem: str, mend: str) -> Exception:
        """The error of a wrong definition of this function."""
        return refusal(self.source, self.subject, problem, mend)

    def parameters(self) -> dict[str, Parameter]:
        """The parameters in order, each of which can be given by its name.

        Raises:
            InvalidDefinitionError: one cannot, or `context` is not the first.
        """
        parameters = dict(inspect.signature(self.fn).parameters)
        for parameter in parameters.values():
            if parameter.kind not in _KINDS:
                raise self.refusal(
                    f"parameter {str(parameter)!r} cannot be given by its name",
                    "write out each parameter, without *args, **kwargs and /",
                )
        if CONTEXT in parameters and next(iter(parameters)) != CONTEXT:
            raise self.refusal(
                f"parameter {CONTEXT!r} is not the first",
                "put it first, or give the parameter another name",
            )
        return parameters

    def type_of(self, annotation: Any, what: str) -> Any:
        """The type that an annotation stands for; `Parameter.empty` where there is none.

        Raises:
            InvalidDefinitionError: a name in it is not known.
        """
        if annotation is Parameter.empty:
            return annotation
        holder = SimpleNamespace(__annotations__={"it": annotation})
        module_names = getattr(inspect.unwrap(self.fn), "__globals__", {})
        try:
            hints = typing.get_type_hints(
                holder, module_names, dict(self.namespace), include_extras=True
            )
        except Exception as error:
            raise self.refusal(
                f"the annotation {annotation!r} of {what} cannot be read: {error}",
                "define or import its names above the function, not only for type checking",
            ) from error
        return hints["it"]

    def takes_context(self, parameters: Mapping[str, Parameter], context_class: type) -> bool:
        """Whether the function takes a context.

        Raises:
            InvalidDefinitionError: its parameter `context` is meant to be something else.
        """
        if CONTEXT not in parameters:
            return False
        annotation = parameters[CONTEXT].annotation
        if isinstance(annotation, str):  # often imported for type checking only
            annotation = annotation.strip("'\"")
            wrong = annotation.rpartition(".")[2] not in (context_class.__name__, "Any")
        else:
            wrong = annotation not in (Parameter.empty, Any, context_class)
        if wrong:
            raise self.refusal(
                f"parameter {CONTEXT!r} is annotated {_shown(annotation)}, but is given the"
                f" {context_class.__name__}",
                f"annotate it {context_class.__name__}, or give the parameter another name",
            )
        return True

    def config_model(self, parameters: Mapping[str, Parameter]) -> type[BaseModel] | None:
        """The model of the function's parameter `config`; None when it has no such parameter.

        Raises:
            InvalidDefinitionError: the parameter has no annotation that can be the model of a config.
        """
        if CONFIG not in parameters:
            return None
        parameter = parameters[CONFIG]
        model = self.type_of(parameter.annotation, f"parameter {CONFIG!r}")
        if not isinstance(model, type) or not issubclass(model, BaseModel) or model is BaseModel:
            shown = "not annotated" if model is Parameter.empty else f"annotated {_shown(model)}"
            raise self.refusal(
                f"parameter {CONFIG!r} is {shown}, but is given the config as a Pydantic model",
                "annotate it with a subclass of pydantic.BaseModel, or give the input another name",
            )
        if parameter.default is not Parameter.empty:
            raise self.refusal(
                f"parameter {CONFIG!r} has a default",
                f"give the fields of {model.__name__} defaults instead",
            )
        self._check_model(model)
        return model

    def _check_model(self, model: type[BaseModel]) -> None:
        if issubclass(model, RootModel):
            raise self.refusal(
                f"the config model {model.__name__} is a RootModel, which has no keys",
                "use a model with fields",
            )
        if model.model_config.get("extra") == "allow":
            raise self.refusal(
                f"the config model {model.__name__} allows extra keys, but run config refuses keys"
                " that are not declared",
                "declare a field of type dict for free keys",
            )
        try:
            schema_of(model)
        except SCHEMA_ERRORS as error:
            raise self.refusal(
                f"the config model {model.__name__} cannot be given as JSON: {_first_line(error)}",
                "use types that JSON can hold",
            ) from error


def checked_function(fn: object, decorator: str, source: str) -> FunctionType:
    """The function that a decorator was given.

    Raises:
        InvalidDefinitionError: it is something else.
    """
    if isinstance(fn, FunctionType):
        return fn
    if isinstance(fn, str):
        problem, mend = f"it was given the text {fn!r}", f"write @{decorator}(name={fn!r})"
    else:
        problem = f"it was given a {type(fn).__name__}"
        mend = "decorate a function that is written with def or async def"
    raise refusal(source, f"@{decorator}", problem, mend)


def description_of(fn: Callable[..., Any], description: str | None) -> str | None:
    """The description that was given, else the docstring of the function."""
    return inspect.getdoc(fn) if description is None else description


def _shown(annotation: Any) -> str:
    return annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
