"""The group of processes that computes collectives: gloo on CPUs, NCCL on GPUs."""

import os
import socket
import sys
from datetime import timedelta

import torch
import torch.distributed as dist
from torch._C._distributed_c10d import TCPStore

_HOST = "127.0.0.1"

_JOIN = timedelta(minutes=5)
"""A rank imports torch before it joins: 10 s, or minutes from a slow disk."""

_COLLECTIVE = timedelta(hours=2)
"""As in transformers. A rank waits in its first collective for the others to load their part, which
takes tens of minutes from a network volume. While serving, stall detection ends the process long
before; between steps no rank is in a collective."""


def create_store(size: int) -> TCPStore:
    """Create the store of rank 0 through which ranks find each other.

    torch's own socket listens on every interface, without authentication.
    """
    listener = socket.socket()
    listener.bind((_HOST, 0))
    listener.listen()
    port = listener.getsockname()[1]
    return TCPStore(
        _HOST,
        port,
        size,
        is_master=True,
        timeout=_JOIN,
        wait_for_workers=False,
        master_listen_fd=listener.detach(),
    )


def open_store(port: int) -> TCPStore:
    return TCPStore(_HOST, port, is_master=False, timeout=_JOIN)


def join_group(store: TCPStore, rank: int, size: int, device_type: str) -> None:
    """Form the group; blocks until every rank has joined."""
    _stay_on_loopback()
    os.environ["LOCAL_RANK"] = str(rank)  # noqa: TID251  # by which transformers selects the GPU
    on_gpu = device_type == "cuda"
    device = torch.device("cuda", rank) if on_gpu else None
    if device is not None:
        torch.cuda.set_device(device)
    dist.init_process_group(
        "nccl" if on_gpu else "gloo",
        store=store,
        rank=rank,
        world_size=size,
        timeout=_COLLECTIVE,
        device_id=device,
    )


def _stay_on_loopback() -> None:
    """Keep the sockets of gloo and NCCL, which know no passwords, on the loopback interface.

    By default they use that of the host's name, which a container may not be able to resolve.
    """
    interface = "lo0" if sys.platform == "darwin" else "lo"
    for name in ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME"):
        os.environ.setdefault(name, interface)  # noqa: TID251
