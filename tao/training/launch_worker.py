"""One process of a training stage: ``accelerate launch ... -m tao.training.launch_worker job.pickle``."""

from __future__ import annotations

import os
import pickle
import sys
import threading
import time
from pathlib import Path
from typing import Any

from tao.errors import InputError
from tao.training.launch import PROGRESS


def main() -> int:
    """Run the stage; process 0 leaves `done.pickle` beside the job: the report, or the error to raise."""
    path = Path(sys.argv[1])
    job: dict[str, Any] = pickle.loads(path.read_bytes())
    threading.Thread(target=_end_with, args=(job["parent"],), daemon=True).start()
    from tao.training import ranks

    first = ranks.join() == 0
    progress = _tell if first else None
    done: Any
    try:
        done = _stage(job, progress)
    except InputError as error:
        done = error
    if first:
        temporary = path.with_name("done.tmp")
        temporary.write_bytes(pickle.dumps(done))
        temporary.replace(path.with_name("done.pickle"))
    ranks.leave()
    return 1 if isinstance(done, InputError) else 0


def _stage(job: dict[str, Any], progress: Any) -> Any:
    common = {"optim": job["optim"], "out": job["out"], "progress": progress, **job["arguments"]}
    if job["stage"] == "offline":
        from tao.training.offline import train_offline

        return train_offline(**common)
    from tao.training.sft import train_sft

    return train_sft(**common)


def _tell(stage: str, done: int, everything: int) -> None:
    print(PROGRESS, done, everything, flush=True)


def _end_with(parent: int) -> None:
    """End when the process that launched all this is gone: killed, it cannot take its children along."""
    while True:
        time.sleep(2)
        try:
            os.kill(parent, 0)
        except ProcessLookupError:
            os._exit(1)
        except PermissionError:
            pass


if __name__ == "__main__":
    sys.exit(main())
