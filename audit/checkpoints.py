"""Reading checkpoints: the newest is what every allow, webhook and report carries along."""

from audit.models import Checkpoint


def latest() -> str | None:
    """Return the newest signed checkpoint as note text; None before the first."""
    return Checkpoint.objects.order_by("-epoch_id", "-size").values_list("note", flat=True).first()


def newest(epoch: int | None = None) -> Checkpoint | None:
    """Return the newest checkpoint, of one epoch or of the log."""
    rows = Checkpoint.objects.order_by("-epoch_id", "-size")
    return (rows if epoch is None else rows.filter(epoch_id=epoch)).first()
