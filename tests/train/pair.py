"""Two processes of one training, as torchrun would start them."""

import os
import runpy
import socket
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context


def pair(file, name, folder):
    """What ``name(processes, folder)``, a function of a test file, returns in each of two gloo processes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        begun = [pool.submit(_of_pair, rank, port, file, name, folder) for rank in (0, 1)]
        return [one.result() for one in begun]


def _of_pair(rank, port, file, name, folder):
    os.environ |= {
        "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "LOCAL_RANK": "0",
        "RANK": str(rank), "WORLD_SIZE": "2",
    }  # fmt: skip
    import torch

    from lucidbox.train.processes import join

    torch.set_num_threads(1)
    processes = join("cpu")
    # A test file has no name that a new process could import: pytest's importlib mode.
    result = runpy.run_path(file)[name](processes, folder)
    processes.any(False)  # nobody leaves before the other is done
    processes.leave()
    return result
