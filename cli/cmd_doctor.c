/* cmd_doctor.c: pare doctor: what this machine runs pare with. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/console.h"
#include "cli/options.h"
#include "core/blis.h"
#include "core/cpu.h"
#include "core/file.h"
#include "core/gemm.h"
#include "core/threads.h"

/* The product to measure: 512 tokens through one of BERT-base's square maps. */
enum { TOKENS = 512, HIDDEN = 768 };

enum { MOST = 1 << 16 }; /* bytes of what the system says in one file */

/* "MemAvailable:   123 kB" of /proc/meminfo, in bytes; -1 where it is not known. */
static int64_t meminfo(const char *text, const char *key)
{
    const char *line = text ? strstr(text, key) : NULL;
    return line ? 1024 * strtoll(line + strlen(key), NULL, 10) : -1;
}

/* The container's limit, -1 if there is none. */
static int64_t memory_limit(void)
{
    char *text = NULL, *end;
    size_t size;
    int64_t bytes = -1;

    if (pare_file_read("/sys/fs/cgroup/memory.max", MOST, &text, &size) == PARE_OK) {
        const long long number = strtoll(text, &end, 10);
        bytes = end == text ? -1 : number; /* "max" */
    }
    pare_free(text);
    return bytes;
}

static void set_memory(pare_json *result)
{
    char *text = NULL;
    size_t size;
    pare_json *memory = pare_json_new_object();

    (void)pare_file_read("/proc/meminfo", MOST, &text, &size);
    pare_json_set_int(memory, "total", meminfo(text, "MemTotal:"));
    pare_json_set_int(memory, "available", meminfo(text, "MemAvailable:"));
    pare_json_set_int(memory, "limit", memory_limit());
    pare_json_set(result, "memory", memory);
    pare_free(text);
}

static pare_status set_disk(pare_json *result)
{
    uint64_t bytes = 0;

    PARE_TRY(pare_free_space(".", &bytes));
    pare_json *disk = pare_json_new_object();
    pare_json_set_string(disk, "folder", ".");
    pare_json_set_int(disk, "free", (int64_t)bytes);
    pare_json_set(result, "disk", disk);
    return PARE_OK;
}

static pare_status set_speed(pare_json *result)
{
    double gflops, peak;

    PARE_TRY(pare_gemm_measure(TOKENS, HIDDEN, HIDDEN, &gflops, &peak));
    pare_json_set_double(result, "gflops", gflops);
    pare_json_set_double(result, "peak_gflops", peak);
    return PARE_OK;
}

static pare_status examine(pare_json *result)
{
    char cpu[49];

    pare_cpu_model(cpu);
    pare_json_set_string(result, "version", PARE_VERSION);
    pare_json_set_string(result, "cpu", cpu);
    pare_json_set_string(result, "kernel_path", pare_gemm_path());
    PARE_TRY(pare_gemm_precision_set(PARE_PRECISION_BF16));
    pare_json_set_string(result, "kernel_path_bf16", pare_gemm_path());
    PARE_TRY(pare_gemm_precision_set(PARE_PRECISION_FP32));
    pare_json_set_string(result, "kernels", pare_isa_name(pare_cpu_isa()));
    pare_json_set_string(result, "kernels_available", pare_cpu_paths());
    pare_json_set_string(result, "blis_architecture", pare_blis_architecture());
    pare_json_set_int(result, "cores", sysconf(_SC_NPROCESSORS_ONLN));
    pare_json_set_int(result, "threads", pare_threads());
    PARE_TRY(set_speed(result));
    set_memory(result);
    return set_disk(result);
}

/* ---- For people ---- */

static double gigabytes(const pare_json *object, const char *key)
{
    return (double)pare_json_get_int(object, key, 0) / 1e9;
}

static void print_people(const pare_json *r)
{
    const pare_json *memory = pare_json_get(r, "memory"), *disk = pare_json_get(r, "disk");

    pare_out("pare       %s\n", PARE_VERSION);
    pare_out("cpu        %s, %lld cores\n", pare_json_get_string(r, "cpu", "unknown"),
             (long long)pare_json_get_int(r, "cores", 0));
    pare_out("kernels    %s (available: %s; --kernels chooses)\n",
             pare_json_get_string(r, "kernels", ""),
             pare_json_get_string(r, "kernels_available", ""));
    pare_out("products   %s; %s with --precision bf16\n",
             pare_json_get_string(r, "kernel_path", ""),
             pare_json_get_string(r, "kernel_path_bf16", ""));
    pare_out("BLIS       %s\n", pare_json_get_string(r, "blis_architecture", ""));
    pare_out("threads    %lld\n", (long long)pare_json_get_int(r, "threads", 0));
    pare_out("speed      %.0f GFLOP/s at [%d,%d] x [%d,%d], of %.0f in registers\n",
             pare_json_get_double(r, "gflops", 0), TOKENS, HIDDEN, HIDDEN, HIDDEN,
             pare_json_get_double(r, "peak_gflops", 0));
    pare_out("memory     %.1f GB available of %.1f GB", gigabytes(memory, "available"),
             gigabytes(memory, "total"));
    if (pare_json_get_int(memory, "limit", -1) >= 0)
        pare_out(", limit %.1f GB", gigabytes(memory, "limit"));
    pare_out("\ndisk       %.1f GB free here\n", gigabytes(disk, "free"));
}

pare_status pare_command_doctor(const pare_options *options)
{
    pare_json *result = pare_json_new_object();
    pare_status status = examine(result);

    if (status == PARE_OK && options->json)
        return pare_out_json(result);
    if (status == PARE_OK)
        print_people(result);
    pare_json_free(result);
    return status;
}
