/* Preloaded into the daemon by tests/fault/out-of-memory: allocations fail now and then, but only those that
 * the daemon's own code makes (libraries that abort without memory are not what is looked at).
 *
 * MALLOC_FAILS names a file with a number N, which the test changes while the daemon runs: 0 none fails, else about
 * one in N. MALLOC_FAILED, if set, is a file that gets the number of failures so far. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *old, size_t size);

struct shared {
    _Atomic uint32_t one_in;
    _Atomic uint32_t failures;
};

static struct shared *shared;
static uintptr_t program_begin, program_end;
static _Atomic uint64_t state = 88172645463325252u;

static int find_program(struct dl_phdr_info *info, size_t size, void *context)
{
    (void)size;
    (void)context;
    for (int i = 0; i < info->dlpi_phnum; i++) { /* the first object is the program */
        uintptr_t begin = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
        if (info->dlpi_phdr[i].p_type != PT_LOAD || !(info->dlpi_phdr[i].p_flags & PF_X))
            continue;
        program_begin = begin;
        program_end = begin + info->dlpi_phdr[i].p_memsz;
    }
    return 1;
}

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("MALLOC_FAILS");
    int fd = path == NULL ? -1 : open(path, O_RDWR | O_CLOEXEC);

    if (fd < 0)
        return;
    void *memory = mmap(NULL, sizeof(struct shared), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    dl_iterate_phdr(find_program, NULL);
    if (memory != MAP_FAILED)
        shared = memory;
}

static uint64_t next_random(void)
{
    uint64_t x = atomic_fetch_add(&state, 0x9e3779b97f4a7c15u);
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

static int fails(const void *caller)
{
    uint32_t one_in = shared == NULL ? 0 : atomic_load(&shared->one_in);

    if (one_in == 0 || (uintptr_t)caller < program_begin || (uintptr_t)caller >= program_end ||
        next_random() % one_in != 0)
        return 0;
    atomic_fetch_add(&shared->failures, 1);
    errno = ENOMEM;
    return 1;
}

void *malloc(size_t size)
{
    return fails(__builtin_return_address(0)) ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    return fails(__builtin_return_address(0)) ? NULL : __libc_calloc(count, size);
}

void *realloc(void *old, size_t size)
{
    return size > 0 && fails(__builtin_return_address(0)) ? NULL : __libc_realloc(old, size);
}

char *strdup(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = fails(__builtin_return_address(0)) ? NULL : __libc_malloc(size);

    return copy == NULL ? NULL : memcpy(copy, text, size);
}
