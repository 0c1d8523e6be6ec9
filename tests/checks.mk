# tests/checks.mk: checks that take tools or time; the Makefile includes it. What each has found is
# in docs/reliability.md. `make test` runs small parts: tests/analysis.sh and tests/sanitize.sh.
#
#   make tidy cppcheck                  clang-tidy and cppcheck over every source file
#   make asan-test tsan-test            the test programs under sanitizers (ubsan-test: one alone)
#   make asan-test NAMES="optim prune"  ... or some of them
#   make valgrind-test                  ... and under valgrind
#   make coverage                       the lines that tests reach, by room
#   make mutate [MUTATIONS=adamw]       faults put into copies of the code: tests must find them
#   make fuzz SECONDS=60 TARGETS=zip    every target of tests/fuzz, or those named

# ---- Variants: the same Makefile with another BUILD and more flags -----------------------------
# (Sanitizers make compilers warn of what is not so: -w; the plain build has the warnings.)
again = +@$(MAKE) --no-print-directory BUILD=build/$(1) OPTIMIZE=-O1 HARDEN= \
        VARIANT="-w -fno-omit-frame-pointer $(2)" $(3)
# All test programs and fuzz targets, or the tests so named: NAMES="optim prune".
NAMED = $(NAMES:%=$(BUILD)/tests/test_%)
run-tests: $(or $(NAMED),$(TESTS) $(FUZZERS))
	@BUILD=$(BUILD) tests/run.sh $^

asan-test: export LSAN_OPTIONS = suppressions=$(CURDIR)/tests/lsan.suppress
asan-test:
	$(call again,asan,-fsanitize=address -fsanitize=undefined -fno-sanitize-recover=all,run-tests)
ubsan-test:
	$(call again,ubsan,-fsanitize=undefined -fno-sanitize-recover=all,run-tests)
# libomp with its Archer tool tells the sanitizer what OpenMP's barriers order; libgomp cannot.
tsan-test: export OMP_TOOL_LIBRARIES = $(shell $(CLANG) -print-file-name=libarcher.so)
tsan-test: export TSAN_OPTIONS = ignore_noninstrumented_modules=1 $(TSAN)
tsan-test:
	$(call again,tsan,-fsanitize=thread,run-tests CC=$(CLANG))
# What takes minutes under valgrind is left to asan-test; libgomp keeps its team until the end.
SLOW = %bert %gemm %hostile %damage %store %table %tokenizer %faults %full %out_of_memory %growth
valgrind-test: $(or $(NAMED),$(filter-out $(SLOW),$(TESTS)))
	@UNDER="valgrind -q --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=definite \
	    --suppressions=tests/valgrind.suppress" tests/run.sh $^

# ---- What tests reach, and whether they would notice -------------------------------------------
coverage:
	$(call again,coverage,--coverage -fprofile-update=atomic -DPARE_COVERAGE,run-coverage)
run-coverage: all $(TESTS) $(FUZZERS)
	@find $(BUILD) -name '*.gcda' -delete
	@BUILD=$(BUILD) tests/run.sh $(TESTS) $(FUZZERS) $(shell grep -l '^[.] tests/program' tests/*.sh)
	@sh tests/coverage.sh $(BUILD)
mutate:
	@JOBS=$(JOBS) sh tests/mutate.sh $(MUTATIONS)

# ---- Reading the code without running it -------------------------------------------------------
# TIDY adds to its command line: TIDY=--checks=-clang-analyzer-* leaves out what takes longest.
tidy: $(SOURCES:%=tidy/%)
tidy/%:
	@clang-tidy --quiet $(TIDY) $* -- $(filter-out -Werror -MMD -MP,$(FLAGS)) $(call arch,$*) \
	    $(INCLUDES) $(TOLD) 2>&1 | (! grep -A8 error:)
TOLD = $(if $(filter core/status.c core/file_calls.c,$*),,-include tests/analyzer.h)
cppcheck:
	@cppcheck --quiet --std=c11 --enable=warning,performance,portability --inline-suppr \
	    --suppressions-list=tests/cppcheck.suppress --error-exitcode=1 -j $(JOBS) -I. $(SOURCES)

# ---- Fuzzing -----------------------------------------------------------------------------------
SECONDS = 60
TARGETS = $(FUZZERS:$(BUILD)/tests/fuzz/fuzz_%=%)
FUZZ_PROGRAMS = $(TARGETS:%=$(BUILD)/tests/fuzz/fuzz_%)
fuzz_build = +@$(MAKE) --no-print-directory BUILD=build/fuzz/bin CC=$(CLANG) OPTIMIZE=-O1 HARDEN= \
        REPLAY= LDFLAGS=-fsanitize=fuzzer VARIANT="-w -fsanitize=fuzzer-no-link \
        -fsanitize=address -fsanitize=undefined -fsanitize=float-cast-overflow \
        -fno-sanitize-recover=all" $(1)
fuzz:
	$(call fuzz_build,run-fuzz)
fuzz-programs:
	$(call fuzz_build,build-fuzz)
build-fuzz: $(FUZZ_PROGRAMS)
run-fuzz: build-fuzz
	@tests/fuzz/explore.sh $(SECONDS) $(FUZZ_PROGRAMS)

.PHONY: run-tests asan-test ubsan-test tsan-test valgrind-test coverage run-coverage mutate tidy \
        cppcheck fuzz fuzz-programs build-fuzz run-fuzz
