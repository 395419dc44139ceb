# make help lists the targets. Everything a target needs is made first, and only once.

export PATH := $(CURDIR)/.cache/venv/bin:$(PATH)
export LC_ALL := C.UTF-8
export PYTHONPATH := $(CURDIR)/.cache/collections
ifdef PYTHON
export PYTHON
endif
RUN := .cache/venv/bin/python -m tests.run

.DEFAULT_GOAL := help
.PHONY: help test demo demo-clean psql shell lint sanity unit integration molecule bench docs venv hosts clean distclean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

test: venv hosts ## all tests; the last line is "N passed, N failed"
	@sh tests/bootstrap.sh analyser
	@$(RUN)

demo: venv hosts ## declare, build and prove an estate on one throwaway host
	@.cache/venv/bin/python -m tests.demo

demo-clean: venv ## remove the demo: its host, its passwords, its report
	@.cache/venv/bin/python -m tests.demo clean

psql: ## be a service of the demo: make psql AS=payments_prod_app
	@sh tests/bootstrap.sh client
	@PGSERVICEFILE=.cache/demo/pg_service.conf PGPASSFILE=.cache/demo/pgpass psql service=$(or $(AS),payments_prod_app)

shell: ## be root on the demo's host
	@.cache/venv/bin/python -m tests.throwaway ssh demo db1

lint: venv hosts ## ruff, mypy, ansible-lint, yamllint, changelog, gitleaks
	@$(RUN) lint

sanity: venv ## ansible-test sanity
	@sh tests/bootstrap.sh analyser
	@$(RUN) sanity

unit: venv ## pure code; one test: make unit ARGS='tests/unit/test_plan.py -k secret'
	@$(if $(ARGS),.cache/venv/bin/pytest $(ARGS),$(RUN) unit)

integration: venv hosts ## modules against PostgreSQL 15 and 17; ARGS as above
	@$(if $(ARGS),.cache/venv/bin/pytest $(ARGS),$(RUN) integration)

molecule: venv hosts ## roles on Debian 12 and 13; one role: make molecule SCENARIO=server
	@$(RUN) molecule $(SCENARIO)

bench: venv hosts ## side-by-side measurements, a ratio each
	@.cache/venv/bin/python -m tests.bench $(ARGS)

docs: venv ## guides and reference as HTML in .cache/docs
	@.cache/venv/bin/python -m tests.docs

venv: ## the virtual environment .cache/venv
	@sh tests/bootstrap.sh venv

hosts: ## the packages that throwaway hosts need
	@sh tests/bootstrap.sh hosts

clean: venv ## remove all throwaway hosts of this clone; images stay
	@.cache/venv/bin/python -m tests.throwaway clean

distclean: venv ## remove hosts, images and the whole .cache
	@.cache/venv/bin/python -m tests.throwaway clean --images
	@rm -rf .cache
