# syntax=docker/dockerfile:1
# One image for API, worker and migrations, with torch for CPUs. For NVIDIA GPUs (docker-compose.yml, profile gpu) let pip
# take its usual build, which is the one with CUDA:
#   docker build --build-arg TORCH_INDEX= -t spikesmith:latest-gpu .

FROM python:3.11-slim AS build
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/spikesmith
ENV PATH=/opt/spikesmith/bin:$PATH
WORKDIR /src
# The scan kernels are compiled here and run elsewhere.
RUN apt-get update && apt-get install --yes --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
ENV SPIKESMITH_MARCH=portable
COPY constraints.txt ./
# First and by itself: the largest layer, which changes least.
RUN pip install ${TORCH_INDEX:+--extra-index-url "$TORCH_INDEX"} -c constraints.txt torch==2.13.0
COPY pyproject.toml setup.py README.md LICENSE ./
COPY snncore ./snncore
COPY service ./service
COPY worker ./worker
COPY migrations ./migrations
RUN pip install -c constraints.txt .

FROM python:3.11-slim
# What compiles kernels at run time needs a compiler; libgomp is torch's OpenMP.
RUN apt-get update \
 && apt-get install --yes --no-install-recommends g++ libgomp1 \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --create-home --uid 10001 spikesmith \
 && install -d -o spikesmith -g spikesmith /data /datasets
COPY --from=build /opt/spikesmith /opt/spikesmith
ENV PATH=/opt/spikesmith/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    SPIKESMITH_HOME=/data \
    SPIKESMITH_CACHE=/datasets \
    SPIKESMITH_HOST=0.0.0.0 \
    SPIKESMITH_AUTH=on
USER spikesmith
WORKDIR /home/spikesmith
EXPOSE 8321
STOPSIGNAL SIGTERM
# For the API. docker-compose.yml says how to tell that a worker is alive.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
  CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8321/healthz', timeout=4)"]
CMD ["spikesmith", "api"]
