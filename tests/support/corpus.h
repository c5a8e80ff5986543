/*
 * corpus: reads test data and tables. Header only.
 *
 * Files are looked for in tests/data and then, for those that may not be copied into the project
 * (tests/data/README.md), in $HL7_CORPUS.
 */
#ifndef MLLPGW_TESTS_CORPUS_H
#define MLLPGW_TESTS_CORPUS_H

#include "base/buffer.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

/* 0 or a negative errno; the buffer is appended to. */
static inline int corpus_read_path(const char *path, struct buffer *out)
{
    char piece[65536];
    size_t got;
    int result = 0;
    FILE *file = fopen(path, "rb");

    if (file == NULL)
        return -errno;
    while (result == 0 && (got = fread(piece, 1, sizeof piece, file)) > 0)
        result = buffer_append(out, piece, got);
    if (ferror(file))
        result = -EIO;
    fclose(file);
    return result;
}

/* name: "messages/x/y.hl7", "invalid/z.bin" ... */
static inline int corpus_read(const char *name, struct buffer *out)
{
    const char *elsewhere = getenv("HL7_CORPUS");
    char path[PATH_MAX];

    snprintf(path, sizeof path, "%s/%s", MLLPGW_TEST_DATA, name);
    int result = corpus_read_path(path, out);
    if (result != -ENOENT)
        return result;
    if (elsewhere != NULL)
        snprintf(path, sizeof path, "%s/%s", elsewhere, name);
    else
        snprintf(path, sizeof path, "%s/../../../shared/data/hl7/%s", MLLPGW_TEST_DATA, name);
    return corpus_read_path(path, out);
}

/* A table: lines of fields split by tabs, the first line left out. */
struct corpus_table {
    struct buffer text;
    char *next;
};

static inline int corpus_table_open(struct corpus_table *table, const char *name)
{
    buffer_init(&table->text, 16u << 20);
    int result = corpus_read(name, &table->text);
    if (result == 0)
        result = buffer_append_byte(&table->text, '\0');
    if (result < 0)
        return result;
    table->next = strchr(table->text.data, '\n');
    if (table->next != NULL)
        table->next++;
    return 0;
}

/* Points ret_fields at the next line's fields (absent ones at ""). False behind the last line. */
static inline bool corpus_table_next(struct corpus_table *table, const char **ret_fields,
                                     size_t count)
{
    char *at = table->next;

    if (at == NULL || *at == '\0')
        return false;
    for (size_t i = 0; i < count; i++)
        ret_fields[i] = "";
    char *end = strchr(at, '\n');
    table->next = end == NULL ? NULL : end + 1;
    if (end != NULL)
        *end = '\0';
    for (size_t i = 0; i < count && at != NULL; i++) {
        ret_fields[i] = at;
        at = strchr(at, '\t');
        if (at != NULL)
            *at++ = '\0';
    }
    return true;
}

static inline void corpus_table_close(struct corpus_table *table)
{
    buffer_free(&table->text);
}

#endif
