"""The side of `transformers` in tests/interop/round_trip_test.cpp, one process per version.

Arguments: the folder shared with the test, a folder for this version, the required prefix of the
version, and a SentencePiece model. Saves models in VERSION/saved and creates VERSION/saved.ready.
When VERSION/exported.ready exists, checks SHARED/exports/*, VERSION/saved/*/exported and, with
version 4, SHARED/*.gguf.
"""

import pathlib
import sys
import time

import torch
import transformers

LIMIT_S = 250


def wait_for(file):
    end = time.monotonic() + LIMIT_S
    while not file.exists():
        assert time.monotonic() < end, f"no {file}"
        time.sleep(0.05)


def main():
    shared, own = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    assert transformers.__version__.startswith(sys.argv[3]), transformers.__version__
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    import check_models
    import make_models

    make_models.save_all(own / "saved", sys.argv[4])
    (own / "saved.ready").touch()
    wait_for(own / "exported.ready")
    exports = sorted((shared / "exports").iterdir())
    assert len(exports) == 31, len(exports)
    check_models.check_all(exports)
    make_models.compare_all(own / "saved")
    if sys.argv[3] == "4.":
        import check_gguf

        files = sorted(shared.glob("*.gguf"))
        assert len(files) == 2, files
        for path in files:
            check_gguf.check(path, shared / "exports" / path.stem)


if __name__ == "__main__":
    main()
