#include "core/cpu.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

static const char *const isa_names[PARE_ISA_COUNT] = {"portable", "avx2", "avx512"};

/* ---- What the CPU has ---- */

#if defined(__x86_64__)

/* Bits of cpuid and of XCR0, the register in which the system says whose state it saves when it
 * switches tasks (Intel SDM volume 1, 13.3). */
enum {
    LEAF1_ECX_FMA = 1 << 12,
    LEAF1_ECX_OSXSAVE = 1 << 27,
    LEAF7_EBX_AVX2 = 1 << 5,
    XCR0_AVX = 0x06,   /* SSE and AVX registers */
    XCR0_AVX512 = 0xe6 /* and masks, upper halves, registers 16 to 31 */
};
#define LEAF7_EBX_AVX512 (1u << 16 | 1u << 17 | 1u << 30 | 1u << 31) /* F, DQ, BW, VL */

static uint32_t xcr0(void)
{
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    (void)high;
    return low;
}

static pare_isa best_isa(void)
{
    uint32_t a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & LEAF1_ECX_OSXSAVE) || !(c & LEAF1_ECX_FMA))
        return PARE_ISA_PORTABLE;
    uint32_t saved = xcr0();
    if ((saved & XCR0_AVX) != XCR0_AVX || !__get_cpuid_count(7, 0, &a, &b, &c, &d) ||
        !(b & LEAF7_EBX_AVX2))
        return PARE_ISA_PORTABLE;
    if ((saved & XCR0_AVX512) != XCR0_AVX512 || (b & LEAF7_EBX_AVX512) != LEAF7_EBX_AVX512)
        return PARE_ISA_AVX2;
    return PARE_ISA_AVX512;
}

void pare_cpu_model(char name[49])
{
    uint32_t words[12] = {0}; /* three leaves of 16 letters */
    for (unsigned i = 0; i < 3; i++)
        __get_cpuid(0x80000002u + i, &words[4 * i], &words[4 * i + 1], &words[4 * i + 2],
                    &words[4 * i + 3]);
    char text[49];
    memcpy(text, words, 48);
    text[48] = 0;
    const char *start = text + strspn(text, " ");
    memmove(name, start, strlen(start) + 1);
}

#else

static pare_isa best_isa(void)
{
    return PARE_ISA_PORTABLE;
}

void pare_cpu_model(char name[49])
{
    name[0] = 0;
}

#endif

bool pare_cpu_supports(pare_isa isa)
{
    return isa <= best_isa();
}

const char *pare_isa_name(pare_isa isa)
{
    return isa_names[isa];
}

const char *pare_cpu_paths(void)
{
    static const char *const lists[PARE_ISA_COUNT] = {
        "portable blis", "portable avx2 blis", "portable avx2 avx512 blis"};
    return lists[best_isa()];
}

/* ---- What was chosen: one number, so that threads that ask meanwhile see all or nothing ---- */

enum { UNDECIDED = 0, DECIDED = 0x100, BLIS = 0x200 };
static atomic_int choice = UNDECIDED;

pare_status pare_kernels_set(const char *name)
{
    pare_isa best = best_isa();
    if (strcmp(name, "auto") == 0 || name[0] == 0) {
        atomic_store(&choice, DECIDED | (int)best);
        return PARE_OK;
    }
    if (strcmp(name, "blis") == 0) {
        atomic_store(&choice, DECIDED | BLIS | (int)best);
        return PARE_OK;
    }
    for (int isa = 0; isa < PARE_ISA_COUNT; isa++) {
        if (strcmp(name, isa_names[isa]) != 0)
            continue;
        if (isa > (int)best)
            return pare_hint(pare_fail(PARE_USAGE, "kernels '%s': this CPU cannot run them", name),
                             "choose one of: auto %s", pare_cpu_paths());
        atomic_store(&choice, DECIDED | isa);
        return PARE_OK;
    }
    return pare_hint(pare_fail(PARE_USAGE, "kernels '%s' are not known", name),
                     "choose one of: auto %s", pare_cpu_paths());
}

pare_status pare_kernels_set_from_environment(void)
{
    const char *name = getenv("PARE_KERNELS");
    return name ? pare_context(pare_kernels_set(name), "PARE_KERNELS") : PARE_OK;
}

static int chosen(void)
{
    int now = atomic_load_explicit(&choice, memory_order_relaxed);
    if (now != UNDECIDED)
        return now;
    if (pare_kernels_set_from_environment() != PARE_OK || atomic_load(&choice) == UNDECIDED)
        (void)pare_kernels_set("auto");
    return atomic_load(&choice);
}

pare_isa pare_cpu_isa(void)
{
    return (pare_isa)(chosen() & 0xff);
}

bool pare_kernels_blis(void)
{
    return chosen() & BLIS;
}
