/* tests/analyzer.h: what `make tidy` tells clang's analyzer, which sees one file at a time.
 *
 * pare_fail, pare_hint and pare_context return the code they are given, pare_sys_fail one that is
 * not PARE_OK; without knowing that, the analyzer follows paths on which a failure is reported and
 * PARE_OK returned. It is included before each file but the two that define them. */
#ifndef PARE_TESTS_ANALYZER_H
#define PARE_TESTS_ANALYZER_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* as some files begin with: too late behind what is included here */
#endif
#include "core/file_calls.h"
#include "core/status.h"

#define pare_fail(code, ...) (pare_fail((code), __VA_ARGS__), (code))
#define pare_hint(code, ...) (pare_hint((code), __VA_ARGS__), (code))
#define pare_context(code, ...) (pare_context((code), __VA_ARGS__), (code))
#define pare_sys_fail(path, needed) (pare_sys_fail((path), (needed)), PARE_IO)

#endif
