"""What one trial of a sweep takes, and how much the sweep may take."""

from pydantic import BaseModel, ConfigDict, Field

from study.spaces import MOST_TRIALS


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Resources(_Part):
    """What one trial takes; fractions of a GPU let trials share it."""

    cpus: float = Field(1, gt=0)
    gpus: float = Field(0, ge=0)

    @property
    def words(self) -> str:
        """In words.

        >>> Resources(cpus=1).words, Resources(cpus=2, gpus=0.25).words
        ('1 CPU', '2 CPUs and 0.25 GPU')
        """
        cpus = f"{self.cpus:g} CPU{'s' * (self.cpus != 1)}"
        return f"{cpus} and {self.gpus:g} GPU{'s' * (self.gpus > 1)}" if self.gpus else cpus


class Budget(_Part):
    """How much a sweep may take. When a launch's hours are over it is interrupted as by Ctrl-C, and `resume` goes on."""

    trials: int | None = Field(None, ge=1, le=MOST_TRIALS, description="settings that are tried; every method but grid needs it")
    hours: float | None = Field(None, gt=0, description="of each launch of the sweep")
