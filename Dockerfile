# Serves the model repository in /models with NVIDIA's Triton, as `python -m server` does without a container.
#   docker build -t video-motion .
#   docker build -t video-motion-export --target export .   builds TensorRT plans with the same TensorRT
ARG TRITON=26.10
FROM nvcr.io/nvidia/tritonserver:${TRITON}-py3 AS base

# Triton's python backend imports the packages of Ubuntu's Python, which pip leaves alone by default.
ENV PIP_BREAK_SYSTEM_PACKAGES=1 PIP_NO_CACHE_DIR=1
# NVDEC needs the driver's video libraries, which containers do not get by default.
ENV NVIDIA_DRIVER_CAPABILITIES=compute,utility,video

WORKDIR /opt/video-motion
COPY pyproject.toml LICENSE ./
# --group needs pip 25.1; --ignore-installed because pip cannot uninstall Ubuntu's own.
RUN python3 -m pip install --ignore-installed 'pip>=25.1' && \
    python3 -m pip install --group pyproject.toml:proxy
COPY backends backends
COPY client/_sdk/parameters.json client/_sdk/parameters.json
COPY export export
COPY server server
COPY training/heads training/heads
COPY video video
# The project is not installed: it is imported from here, by Triton's python backend too.
ENV PYTHONPATH=/opt/video-motion

FROM base AS export
RUN python3 -m pip install --group pyproject.toml:export
USER 1000:1000
ENTRYPOINT ["python3", "-m", "export", "--model-repository=/models"]

FROM base AS serve
# triton-server, a user of NVIDIA's image; by number, for Kubernetes' runAsNonRoot.
USER 1000:1000
ENV ADDRESS=0.0.0.0
EXPOSE 8000 8001 8002
HEALTHCHECK --start-period=5m CMD curl --noproxy '*' --fail --silent "http://localhost:${HTTP_PORT:-8000}/v2/health/ready"
# `python3 -m server --help` lists the environment variables. Other commands work as well: `tritonserver ...`, or
# `python3 -m server.launcher ...`, which adds the memory pools for clips to it.
CMD ["python3", "-m", "server", "--model-repository=/models"]
