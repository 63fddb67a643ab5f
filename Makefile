# One line a target, each also to be typed by hand: README.md shows them without make.
PYTHON ?= python3
BIN := .venv/$(if $(filter Windows_NT,$(OS)),Scripts,bin)

# Linux: threads that wait give their core back soon. A lesson beside another training takes 44 s so, and 218 s otherwise.
export GOMP_SPINCOUNT ?= 10000

.PHONY: install lab test lint lessons bench speedrun checkpoints
install: .venv/installed

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv && $(BIN)/python -m pip install -c constraints.txt -e ".[test,browser]" && touch $@

lab: install
	$(BIN)/jupyter lab $(if $(filter 0,$(shell id -u)),--allow-root) course/00_start_here.ipynb

test: lint
	$(BIN)/python -m pytest

lint: install
	$(BIN)/ruff check .

lessons: install
	BLANK_TO_CHAT_HOME=$$(mktemp -d) OMP_NUM_THREADS=2 $(BIN)/jupyter nbconvert --to notebook --execute --inplace --ExecutePreprocessor.store_widget_state=False --ExecutePreprocessor.record_timing=False course/*.ipynb

bench: install
	$(BIN)/python -m benchmarks.rlhf && $(BIN)/python -m benchmarks.alignment && $(BIN)/python -m benchmarks.speedrun && $(BIN)/python -m benchmarks.tax && $(BIN)/python -m benchmarks.overoptimisation && $(BIN)/python -m benchmarks.half_precision && $(BIN)/python -m benchmarks.first_step && $(BIN)/python -m benchmarks.report && FBC_RECORD=1 $(BIN)/python -m pytest tests/browser

speedrun: install
	$(BIN)/python -m lmcore.speedrun --budget 600 --out speedrun

checkpoints: install
	$(BIN)/python -m lmcore.recipes base mlm sft reward rlhf rlhf_ptx small_rlhf && $(BIN)/python -m benchmarks.leaderboard --stages
