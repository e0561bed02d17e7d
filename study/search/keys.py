"""Keys under which Ray, the searches and the trials hand values to each other."""

from acl.config import Config

POINT = "point"  # key of a trial's Ray configuration: the values of what the sweep varies
RECEIVED = "received"  # key of a trial's Ray configuration: the last epoch that the journal has
SOURCE = "source"  # key of a trial's Ray configuration: whose weights it takes over, a copy of another trial's checkpoint
EPOCH = "epoch"  # key of a result: number of the epoch
RUNG_EPOCH = "rung_epoch"  # key of a result: the epoch at which the scheduler may stop the trial
IS_LAST = "is_last"  # key of a result: whether the run is complete


def rung_epoch(config: Config, epoch: int) -> dict[str, int]:
    """The epoch as the scheduler sees it: it compares trials while their objective can change, before the last epoch of the first
    stage. What is trained after pre-training changes no kNN accuracy.
    """
    return {RUNG_EPOCH: epoch} if epoch < config.optim.epochs else {}
