"""The folder with numbers computed by the published code; it lies beside the project, where it is there at all."""

from pathlib import Path

REFERENCE = Path(__file__).parents[3] / "shared" / "reference"
