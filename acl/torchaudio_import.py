"""torchaudio's Python functions, also where its compiled kernels do not load.

The torchaudio wheel is linked against CUDA, so that `import torchaudio` fails next to a CPU-only torch (OSError, libc10_cuda.so is
missing) or a torch built for another CUDA version (RuntimeError). Resampling and the mel filter bank are pure Python and need
none of those kernels. Where the normal import fails, torchaudio is imported with its extension module declared absent, which is
the state in which torchaudio itself runs when it was built without kernels.
"""

import importlib
import sys
from types import ModuleType


def _import_torchaudio() -> ModuleType:
    try:
        return importlib.import_module("torchaudio")
    except (OSError, RuntimeError):
        # The failed import leaves submodules behind that belong to a package object which no longer exists.
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchaudio"]:
            del sys.modules[name]
        sys.modules["torchaudio._extension"] = _extension_without_kernels()
        return importlib.import_module("torchaudio")


def _extension_without_kernels() -> ModuleType:
    extension = ModuleType("torchaudio._extension", "Stands for torchaudio's compiled kernels, which did not load.")
    vars(extension).update(
        _IS_TORCHAUDIO_EXT_AVAILABLE=False, _IS_ALIGN_AVAILABLE=False, fail_if_no_align=lambda function: function
    )
    return extension


torchaudio = _import_torchaudio()
