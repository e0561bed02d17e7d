"""Hours and bytes in words."""


def hours(value: float) -> str:
    """Hours, minutes below two hours, or seconds below two minutes."""
    if value * 60 < 2:
        return f"{value * 3600:.0f} s"
    if value < 2:
        return f"{value * 60:.0f} min"
    return f"{value:.1f} h" if value < 20 else f"{value:.0f} h"


def size(count: float) -> str:
    """Bytes in MB or GB."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{max(1, count / 1e6):.0f} MB"
