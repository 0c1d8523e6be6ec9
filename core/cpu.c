/* cpu.c: asks the CPU and the system, and keeps the choice. */
#include "core/cpu.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

static const char *const isa_names[PARE_ISA_COUNT] = {"portable", "avx2", "avx512"};
static const char *const bf16_names[PARE_BF16_COUNT] = {"", "avx512bf16", "amx"};

/* ---- What the CPU has ---- */

#if defined(__x86_64__)

/* Bits of cpuid and of XCR0, the register in which the system says whose state it saves when it
 * switches tasks (Intel SDM volume 1, 13.3). */
enum {
    LEAF1_ECX_FMA = 1 << 12,
    LEAF1_ECX_OSXSAVE = 1 << 27,
    LEAF7_EBX_AVX2 = 1 << 5,
    XCR0_AVX = 0x06,   /* SSE and AVX registers */
    XCR0_AVX512 = 0xe6, /* and masks, upper halves, registers 16 to 31 */
    XCR0_AMX = 0x60000, /* tile configuration and data */
    LEAF71_EAX_AVX512BF16 = 1 << 5,
    LEAF7_EDX_AMX = 1 << 22 | 1 << 24, /* BF16, TILE */
    ARCH_REQ_XCOMP_PERM = 0x1023,      /* of arch_prctl */
    XFEATURE_XTILEDATA = 18
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

/* Linux lends the tiles' 8 KiB of state to processes that ask for it. */
static bool may_use_tiles(void)
{
#ifdef SYS_arch_prctl
    return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0;
#else
    return false;
#endif
}

static bool has_bf16(pare_bf16 bf16)
{
    uint32_t a = 0, b, c, d = 0;
    if (bf16 == PARE_BF16_NONE)
        return true;
    if (best_isa() != PARE_ISA_AVX512)
        return false;
    if (!__get_cpuid_count(7, 1, &a, &b, &c, &d) || !(a & LEAF71_EAX_AVX512BF16))
        return false;
    if (bf16 == PARE_BF16_AVX512)
        return true;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d & LEAF7_EDX_AMX) == LEAF7_EDX_AMX &&
           (xcr0() & XCR0_AMX) == XCR0_AMX && may_use_tiles();
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

static bool has_bf16(pare_bf16 bf16)
{
    return bf16 == PARE_BF16_NONE;
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

const char *pare_bf16_name(pare_bf16 bf16)
{
    return bf16_names[bf16];
}

const char *pare_cpu_paths(void)
{
    static _Thread_local char list[64];
    size_t n = 0;
    for (int isa = 0; isa <= (int)best_isa(); isa++)
        n += (size_t)snprintf(list + n, sizeof list - n, "%s ", isa_names[isa]);
    for (int i = PARE_BF16_AVX512; i < PARE_BF16_COUNT; i++)
        if (has_bf16((pare_bf16)i))
            n += (size_t)snprintf(list + n, sizeof list - n, "%s ", bf16_names[i]);
    snprintf(list + n, sizeof list - n, "blis");
    return list;
}

/* ---- What was chosen: one number, so that threads that ask meanwhile see all or nothing ---- */

enum { UNDECIDED = 0, DECIDED = 0x100, BLIS = 0x200, BF16 = 0x1000 /* times a pare_bf16 */ };
static atomic_int choice = UNDECIDED;

static pare_status choose(const char *name, bool supported, int what)
{
    if (!supported)
        return pare_hint(pare_fail(PARE_USAGE, "kernels '%s': this CPU cannot run them", name),
                         "choose one of: auto %s", pare_cpu_paths());
    atomic_store(&choice, DECIDED | what);
    return PARE_OK;
}

/* Asks the system for AMX's registers where the CPU has them. */
static int best_bf16(void)
{
    pare_bf16 bf16 = PARE_BF16_AMX;
    while (!has_bf16(bf16))
        bf16--;
    return (int)bf16;
}

pare_status pare_kernels_set(const char *name)
{
    const int best = (int)best_isa();
    if (strcmp(name, "auto") == 0 || name[0] == 0)
        return choose(name, true, best | BF16 * best_bf16());
    if (strcmp(name, "blis") == 0)
        return choose(name, true, BLIS | best | BF16 * best_bf16());
    for (int isa = 0; isa < PARE_ISA_COUNT; isa++)
        if (strcmp(name, isa_names[isa]) == 0)
            return choose(name, isa <= best, isa);
    for (int i = PARE_BF16_AVX512; i < PARE_BF16_COUNT; i++)
        if (strcmp(name, bf16_names[i]) == 0)
            return choose(name, has_bf16((pare_bf16)i), PARE_ISA_AVX512 | BF16 * i);
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

pare_bf16 pare_cpu_bf16(void)
{
    return (pare_bf16)(chosen() / BF16);
}

bool pare_kernels_blis(void)
{
    return chosen() & BLIS;
}
