"""Fixtures: a detector that finds red, and object storage on this machine."""

import pytest

from batched import red_detector

pytest.importorskip("pyarrow", reason="pip install 'lucidbox[batch]'")


@pytest.fixture
def detector(tmp_path):
    """A detector without a network."""
    folder = tmp_path / "model"
    folder.mkdir()
    return red_detector(folder)


@pytest.fixture(scope="session")
def s3_server():
    """The address of an S3 server on the loopback."""
    pytest.importorskip("s3fs", reason="pip install s3fs")
    server_module = pytest.importorskip("moto.server", reason="pip install 'moto[s3,server]'")
    server = server_module.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(s3_server, monkeypatch):
    """The address of an empty bucket."""
    import s3fs

    for name, value in {
        "AWS_ENDPOINT_URL": s3_server,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "NO_PROXY": "127.0.0.1",
    }.items():
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()
    filesystem = s3fs.S3FileSystem()
    if filesystem.exists("bucket"):
        filesystem.rm("bucket", recursive=True)
    filesystem.mkdir("bucket")
    yield "s3://bucket"
    s3fs.S3FileSystem.clear_instance_cache()
