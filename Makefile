# Makefile: `make`, `make test`, `make install PREFIX=/usr/local`; ./bootstrap fetches libraries.

# ---- Yours to set: make CC=clang PREFIX=$HOME/.local -------------------------------------------
CC = cc
CFLAGS =
LDFLAGS =
PREFIX = /usr/local
DESTDIR =
BUILD = build
CLANG = clang

# ---- Flags -------------------------------------------------------------------------------------
OPTIMIZE = -O3
HARDEN = -D_FORTIFY_SOURCE=2 -fstack-protector-strong
# Never -ffast-math: it breaks NaN traps, -inf masks and resuming to the bit. Multiplications are
# fused with additions only where a kernel file's instruction set is named for it.
FLAGS = -std=gnu11 $(OPTIMIZE) -g -fno-math-errno -ffp-contract=off -fopenmp -fPIE \
        -Wall -Wextra -Wshadow -Wstrict-prototypes -Werror -MMD -MP -I. $(HARDEN) $(VARIANT)
LINK = -fopenmp -pie -Wl,-z,relro,-z,now $(VARIANT)

# One binary for all: only the files named for an instruction set may use it, and a table in core
# picks among them at run time. On other machines those files compile to nothing.
MACHINE := $(firstword $(subst -, ,$(shell $(CC) -dumpmachine)))
ifeq ($(MACHINE),x86_64)
BASE = -march=x86-64-v2
AVX2 = -mavx2 -mfma -ffp-contract=fast
AVX512 = -mavx512f -mavx512bw -mavx512dq -mavx512vl -mfma -ffp-contract=fast \
         -mprefer-vector-width=512
AVX512BF16 = $(AVX512) -mavx512bf16
AMX = $(AVX512BF16) -mamx-tile -mamx-bf16
endif
# (In core/cpu only: the tests named alike do such instructions in C, on any CPU.)
arch = $(BASE) $(if $(filter core/cpu/%_avx2.c,$(1)),$(AVX2)) \
       $(if $(filter core/cpu/%_avx512.c,$(1)),$(AVX512)) \
       $(if $(filter core/cpu/%_avx512bf16.c,$(1)),$(AVX512BF16)) \
       $(if $(filter core/cpu/%_amx.c,$(1)),$(AMX))

# A library's flags by pkg-config; where it has no such file, plain -l does on most systems.
flags = $(or $(shell pkg-config --$(1) $(2) 2>/dev/null),$(3))
INCLUDES := $(foreach p,hdf5 blis jansson inih libutf8proc cairo,$(call flags,cflags,$p))
LIBS := $(call flags,libs,hdf5,-lhdf5) $(call flags,libs,blis,-lblis) \
        $(call flags,libs,jansson,-ljansson) $(call flags,libs,inih,-linih) \
        $(call flags,libs,libutf8proc,-lutf8proc) $(call flags,libs,cairo,-lcairo) \
        $(call flags,libs,libdeflate,-ldeflate) $(call flags,libs,zlib,-lz) -lm
CMOCKA = $(call flags,libs,cmocka,-lcmocka)

# ---- Files -------------------------------------------------------------------------------------
ROOMS = core core/cpu plot autograd optim models prune tasks cli
SOURCES := $(wildcard $(ROOMS:=/*.c))
OBJECTS := $(SOURCES:%.c=$(BUILD)/%.o)
LIBRARY = $(BUILD)/libpare.a
TESTS := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/test_*.c))
FUZZERS := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/fuzz/fuzz_*.c))
REPLAY = $(BUILD)/tests/fuzz/replay.o
SHIM = $(BUILD)/tests/fault_shim.so
CONFIGS := $(wildcard configs/*.ini)
BENCHES := $(patsubst %.c,$(BUILD)/%,$(wildcard bench/*.c))
# What a build with real = double runs: gradients per element, and goldens to 1e-9.
DOUBLE = $(BUILD)-double
DOUBLE_TESTS := $(foreach t,$(TESTS),$(if $(findstring grad,$t)$(findstring golden,$t),$t))

JOBS := $(shell nproc 2>/dev/null || echo 2)
ifeq ($(MAKELEVEL),0)
MAKEFLAGS += -j$(JOBS)
endif
.DELETE_ON_ERROR:
.SECONDARY:

# ---- Building ----------------------------------------------------------------------------------
all: $(BUILD)/pare $(LIBRARY)

$(BUILD)/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(CC) $(FLAGS) $(call arch,$<) $(INCLUDES) $(CFLAGS) -c $< -o $@

$(LIBRARY): $(filter-out $(BUILD)/cli/main.o,$(OBJECTS))
	@rm -f $@
	$(AR) rcs $@ $^

$(BUILD)/pare: $(OBJECTS)
	$(CC) $(LINK) $(CFLAGS) $(LDFLAGS) $^ $(LIBS) -o $@

$(FUZZERS): $(REPLAY)
$(TESTS) $(FUZZERS) $(BENCHES): $(BUILD)/%: $(BUILD)/%.o $(LIBRARY)
	$(CC) $(LINK) $(CFLAGS) $(LDFLAGS) $^ $(LIBS) $(if $(findstring /test_,$@),$(CMOCKA)) -o $@

# What tests put before the C library (LD_PRELOAD).
$(SHIM): tests/fault_shim.c
	@mkdir -p $(@D)
	$(CC) $(filter-out -fPIE -D_FORTIFY%,$(FLAGS)) -fPIC -shared $< -ldl -o $@

# ---- Testing -----------------------------------------------------------------------------------
test: build-tests
	@BUILD=$(BUILD) tests/run.sh
build-tests: all $(TESTS) $(FUZZERS) $(SHIM)
	@$(MAKE) --no-print-directory BUILD=$(DOUBLE) VARIANT=-DPARE_DOUBLE double-programs

double-programs: $(DOUBLE_TESTS)
double-test: build-tests
	@tests/run.sh $(DOUBLE_TESTS:$(BUILD)/%=$(DOUBLE)/%)

# Sanitizers, valgrind, clang-tidy, cppcheck, fuzzing, coverage, mutations.
include tests/checks.mk

# The large size of the tests that have one; again and again with new seeds: make torture MINUTES=60
MINUTES = 0
torture: build-tests $(if $(shell command -v $(CLANG)),fuzz-programs)
	@BUILD=$(BUILD) sh tests/torture.sh $(MINUTES) $(NAMES)

bench: $(BUILD)/pare $(BENCHES)
	@set -e; for b in $(BENCHES); do echo "== $$b"; $$b; done
demo: $(BUILD)/pare
	@$(BUILD)/pare demo

# ---- Installing --------------------------------------------------------------------------------
INTO = $(DESTDIR)$(PREFIX)
VERSION := $(shell sed -n 's/.*PARE_VERSION "\(.*\)"/\1/p' pare.h)
install: all
	install -d $(INTO)/bin $(INTO)/lib/pkgconfig $(INTO)/include $(INTO)/share/pare/configs
	install $(BUILD)/pare $(INTO)/bin/pare
	install -m 644 $(LIBRARY) $(INTO)/lib/libpare.a
	install -m 644 pare.h $(INTO)/include/pare.h
	$(if $(CONFIGS),install -m 644 $(CONFIGS) $(INTO)/share/pare/configs)
	sed 's|@PREFIX@|$(PREFIX)|; s|@VERSION@|$(VERSION)|; s|@LIBS@|$(LIBS)|' pare.pc.in \
	    >$(INTO)/lib/pkgconfig/pare.pc

clean:
	rm -rf build $(BUILD) $(DOUBLE)

.PHONY: all test build-tests double-programs double-test torture bench demo install clean
-include $(OBJECTS:.o=.d) $(SHIM:.so=.d) $(TESTS:=.d) $(FUZZERS:=.d) $(BENCHES:=.d)
