/* read: what read.c (sections, groups) and value.c (single settings) share. */
#ifndef MLLPGW_CONFIG_READ_H
#define MLLPGW_CONFIG_READ_H

#include "config/internal.h"

#include <libconfig.h>

struct reader {
    struct config *config;
    const struct source *source;
    struct problems *problems;
};

/* One group of the file and the object that it fills. */
struct target {
    struct reader *reader;
    struct subject subject;
    char *object;
    const char *label; /* of the group, where the subject can't make one; else NULL */
};

/* One setting of it. */
struct spot {
    struct target *target;
    const struct setting *row;
    const config_setting_t *from;
    int element;
};

struct place read_place(const struct reader *reader, const config_setting_t *setting);
__attribute__((format(printf, 2, 3))) void read_wrong(const struct spot *spot, const char *format,
                                                      ...);
/* Every type but SETTING_VERDICTS. */
void read_value(const struct spot *spot);
void read_default(char *object, const struct setting *row, struct memory *memory);

#endif
