#include "support/pki.h"

#include <libgen.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum { WEEK_S = 7 * 86400 };

static char folder[512];

static uint64_t digest_of_script(const char *path)
{
    uint64_t digest = 14695981039346656037u; /* FNV-1a */
    FILE *script = fopen(path, "r");
    assert_non_null(script);
    for (int c = getc(script); c != EOF; c = getc(script))
        digest = (digest ^ (uint64_t)c) * 1099511628211u;
    fclose(script);
    return digest;
}

void pki_make_from(const char *test_data)
{
    char program[400], script[400], command[1400];
    snprintf(script, sizeof script, "%s/../../certs/make_pki", test_data);
    ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
    assert_true(length > 0);
    program[length] = '\0';
    snprintf(folder, sizeof folder, "%s/pki-%08llx-%lld", dirname(program),
             (unsigned long long)digest_of_script(script) & 0xffffffff,
             (long long)time(NULL) / WEEK_S);
    snprintf(command, sizeof command, "bash '%s' '%s' --extra --quiet", script, folder);
    assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c): our own script */
}

const char *pki_file(const char *name)
{
    static char paths[16][600];
    static unsigned next;
    char *path = paths[next++ % 16];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}
