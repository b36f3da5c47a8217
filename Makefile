# make up · make test · make demo · make chaos: each does all its own set-up on a machine with npm.
# The machine's own Node and npm may be old: they only install those that toolchain/ pins, which do all the rest.

.PHONY: up test test-openzfs test-openzfs-if-built chaos fuzz demo check format build bench bench-import bench-clone bench-pull-through bench-mirror bench-gc crash-matrix clean
.DEFAULT_GOAL := help

TOOLS := $(CURDIR)/toolchain/node_modules/.bin
NODE := $(TOOLS)/node
MACHINE_PATH := $(PATH)
export PATH := $(TOOLS):$(PATH)

TOOLCHAIN := toolchain/node_modules/.package-lock.json
INSTALLED := node_modules/.package-lock.json

help:
	@echo 'make up [POOL=tank] [ADDRESS=127.0.0.1:5000] [DATA=./data]   run registry and importer agent'
	@echo 'make test [ONLY=path]                                       all checks and tests'
	@echo 'make test-openzfs [ONLY=path]                               the suites that use a pool, on OpenZFS in a virtual machine'
	@echo 'make demo                                                   push, import and clone a real image on a real pool'
	@echo 'make chaos [SECONDS=600] [SEED=1]                           three replicas while everything fails'
	@echo 'make fuzz [COUNT=1000000] [SEED=1]                          archives, applied by us, by GNU tar and by bsdtar'
	@echo 'make bench-import [ONLY=varve,tar] [IMAGES=large] [RUNS=3]      imports beside tar, umoci, podman and containerd'
	@echo 'make bench-clone [LARGE=5000] [RUNS=5]                          clones beside cp -a and containerd, by size of image, and 400'
	@echo 'make bench-pull-through [MIB=1024] [CLIENTS=64] [ONLY=varve,peer]   one cold image, pulled by many at once, beside docker-registry'
	@echo 'make bench-mirror [ONLY=unchanged,first,large] [TAGS=1000] [RUNS=3] [AT_ONCE=3]   beside regsync, skopeo and crane'
	@echo 'make bench-gc [ONLY=filesystem,versitygw] [BLOBS=100000]         garbage collection under pushes and pulls'
	@echo 'make crash-matrix                                           writes docs/crash-matrix.md anew'
	@echo 'make check | format | build | bench | clean'

# Installs npm packages only.
up: $(INSTALLED)
	@exec ./varve up $(if $(POOL),--pool $(POOL)) $(if $(ADDRESS),--address $(ADDRESS)) $(if $(DATA),--data $(DATA))

# The last line is `N passed, N failed, N skipped`. Suites install the Debian packages that they need.
test: check
	@$(NODE) test/run.ts $(ONLY)

# Builds a virtual machine the first time: 10 to 25 minutes, and 2 GB in the cache. Installs qemu and debootstrap from Debian.
test-openzfs: $(INSTALLED)
	@$(NODE) --disable-warning=ExperimentalWarning test/openzfs/run-suites.ts $(ONLY)

# VARVE_OPENZFS=1 builds the machine where there is none.
test-openzfs-if-built: $(INSTALLED)
	@$(NODE) --disable-warning=ExperimentalWarning test/openzfs/run-suites.ts --if-built $(ONLY)

check: $(INSTALLED)
	@npm run --silent check:format
	@npm run --silent check:lint
	@npm run --silent check:types

# Installs zfs-fuse, debootstrap, buildah, skopeo, umoci and docker.io from Debian, and says so.
demo: $(INSTALLED)
	@$(NODE) test/demo/demo.ts

# Builds an S3 server by Go and installs PostgreSQL from Debian.
chaos: $(INSTALLED)
	@$(NODE) test/chaos/chaos.ts $(or $(SECONDS),600) $(SEED)

# Installs bsdtar from Debian.
fuzz: $(INSTALLED)
	@$(NODE) test/property/archives/fuzz.ts $(or $(COUNT),1000000) $(SEED)

bench: $(INSTALLED)
	@$(NODE) bench/run.ts

# Installs umoci, podman, containerd and skopeo from Debian, and downloads 210 MB of its packages once for the large layer.
bench-import: $(INSTALLED)
	@ONLY="$(ONLY)" IMAGES="$(IMAGES)" RUNS="$(RUNS)" $(NODE) bench/run.ts import

# Installs zfs-fuse and containerd from Debian, and takes 12 GB of the temporary directory for a while.
bench-clone: $(INSTALLED)
	@LARGE="$(LARGE)" RUNS="$(RUNS)" $(NODE) bench/run.ts clone

# Installs docker-registry and curl from Debian, and takes 4 times MIB of the temporary directory for a while.
bench-pull-through: $(INSTALLED)
	@MIB="$(MIB)" CLIENTS="$(CLIENTS)" ONLY="$(ONLY)" $(NODE) bench/run.ts pull-through

# Installs docker-registry and skopeo from Debian, and builds regsync and crane by Go.
bench-mirror: $(INSTALLED)
	@ONLY="$(ONLY)" TAGS="$(TAGS)" RUNS="$(RUNS)" AT_ONCE="$(AT_ONCE)" CONTENDER="$(CONTENDER)" $(NODE) bench/run.ts mirror

# Builds an S3 server by Go.
bench-gc: $(INSTALLED)
	@ONLY="$(ONLY)" BLOBS="$(BLOBS)" $(NODE) bench/run.ts gc

# The tests of `make test` compare; this writes.
crash-matrix: $(INSTALLED)
	@VARVE_CRASH_MATRIX=write $(NODE) test/run.ts test/faults/crash-matrix test/importer/chain/zfs/killed-commands.test.ts

format: $(INSTALLED)
	@npm run --silent format

build: $(INSTALLED)
	@npm run --silent build

clean:
	rm -rf dist node_modules toolchain/node_modules .cache

$(INSTALLED): $(TOOLCHAIN) package.json package-lock.json
	@echo 'installing npm packages'
	@npm ci --loglevel=error
	@touch $(INSTALLED)

$(TOOLCHAIN): toolchain/package.json toolchain/package-lock.json
	@echo 'installing Node and npm'
	@cd toolchain && PATH="$(MACHINE_PATH)" npm ci --loglevel=error
	@touch $(TOOLCHAIN)
