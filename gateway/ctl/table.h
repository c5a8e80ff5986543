/*
 * table: JSON for people: aligned columns, nothing drawn.
 *
 * Numbers are shown as their members' names say (base/text.h). Texts are escaped.
 */
#ifndef MLLPGW_CTL_TABLE_H
#define MLLPGW_CTL_TABLE_H

#include <jansson.h>
#include <stddef.h>
#include <stdio.h>

#define TABLE_COLUMNS 24

/* A column: the member's name (dots go inside: "last.status"), and what stands above it. */
struct table_column {
    const char *member, *title;
};

/* rows: an array of objects. */
void table_print(FILE *out, const json_t *rows, const struct table_column *columns, size_t count);
/* Columns are the members of the first row. */
void table_print_all(FILE *out, const json_t *rows);
/* A line a member; objects and arrays inside on one line. */
void table_print_pairs(FILE *out, const json_t *object);

#endif
