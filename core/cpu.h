/* cpu.h: what this CPU can run, and which kernels were chosen.
 *
 * Kernels are built once for each instruction set (core/cpu/<thing>_portable.c, _avx2.c, _avx512.c)
 * and stand in tables indexed by pare_isa:
 *
 *   static const kernel table[PARE_ISA_COUNT] = { ... };
 *   table[pare_cpu_isa()](...);
 *
 * The choice is the best the CPU and the system support, unless the environment's PARE_KERNELS or
 * pare_kernels_set asks for another: auto, portable, avx2, avx512, avx512bf16, amx, or blis (matrix
 * products by BLIS, the rest as auto). avx512bf16 and amx are avx512 with other products of bf16,
 * and amx of floats too. Results of one path are the same bits on any machine that runs it; those
 * of two paths differ in the last digits. */
#ifndef PARE_CORE_CPU_H
#define PARE_CORE_CPU_H

#include "core/status.h"

typedef enum pare_isa {
    PARE_ISA_PORTABLE, /* the compiler's baseline, no fused multiply-add: x86-64 or AArch64 */
    PARE_ISA_AVX2,     /* AVX2 + FMA */
    PARE_ISA_AVX512,   /* AVX-512 F, BW, DQ, VL + FMA */
    PARE_ISA_COUNT
} pare_isa;

/* Instructions for products of bf16 beside those of the instruction set. */
typedef enum pare_bf16 {
    PARE_BF16_NONE,
    PARE_BF16_AVX512, /* AVX512-BF16 */
    PARE_BF16_AMX,    /* AMX-BF16 */
    PARE_BF16_COUNT
} pare_bf16;

/* Those in use. The first call asks the system for leave to use AMX's registers. */
pare_bf16 pare_cpu_bf16(void);

/* The instruction set in use. Asking is cheap; the first call looks at the CPU. */
pare_isa pare_cpu_isa(void);

/* Whether products go to BLIS: only when asked for. */
bool pare_kernels_blis(void);

/* Chooses by name; PARE_USAGE for a name that is unknown or that this CPU cannot run. Results may
 * change in their last digits: choose before the first kernel runs. */
pare_status pare_kernels_set(const char *name);

/* pare_kernels_set by PARE_KERNELS, where it is set. A program calls it once at its start, to have
 * a wrong name reported; without that call a wrong name means auto. */
pare_status pare_kernels_set_from_environment(void);

/* For `pare doctor`. */
bool pare_cpu_supports(pare_isa isa);
const char *pare_isa_name(pare_isa isa);    /* "portable", "avx2", "avx512" */
const char *pare_bf16_name(pare_bf16 bf16); /* "", "avx512bf16", "amx" */
const char *pare_cpu_paths(void);           /* "portable avx2 avx512 blis": what may be chosen */
void pare_cpu_model(char name[49]);         /* the maker's name, "" where it is not known */

#endif
