# The gpu and tensorrt profiles: NVIDIA's Triton, with what the models that look at containers need.
#   docker build -t video-motion .                          serves /models
#   docker build -t video-motion-export --target export .   builds TensorRT's plans in the same TensorRT
ARG TRITON=26.10
FROM nvcr.io/nvidia/tritonserver:${TRITON}-py3 AS base

# Ubuntu keeps pip from its Python packages, which are those that Triton's python backend imports.
ENV PIP_BREAK_SYSTEM_PACKAGES=1 PIP_NO_CACHE_DIR=1
# NVDEC is in the driver's video libraries, which containers are not given by default.
ENV NVIDIA_DRIVER_CAPABILITIES=compute,utility,video

WORKDIR /opt/video-motion
COPY pyproject.toml README.md LICENSE ./
COPY backends backends
COPY client client
COPY export export
COPY server server
COPY video video
RUN python3 -m pip install '.[video]'

FROM base AS export
RUN python3 -m pip install '.[export]'
USER 1000:1000
ENTRYPOINT ["python3", "-m", "export", "--model-repository=/models"]

FROM base AS serve
# triton-server, a user of NVIDIA's image; by number, for Kubernetes' runAsNonRoot.
USER 1000:1000
EXPOSE 8000 8001 8002
HEALTHCHECK --start-period=5m CMD ["curl", "--fail", "--silent", "http://localhost:8000/v2/health/ready"]
# tritonserver, with memory pools for clips: what follows it on the command line of `docker run` is tritonserver's.
CMD ["python3", "-m", "server.launcher", "--model-repository=/models"]
