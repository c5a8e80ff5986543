/* vici_case: VICI messages for tests, written as text, and the packets of a recorded stream.
 *
 *   "up=yes site{ uniqueid=1 child-sas{ a-1{ uniqueid=7 local-ts[ 10.0.0.0/8 ] } } }"
 *
 * Words are separated by spaces; a value cannot hold one. */
#ifndef MLLPGW_TESTS_VICI_CASE_H
#define MLLPGW_TESTS_VICI_CASE_H

#include "vpn/vici.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static inline void vici_case_word(struct vici_builder *builder, char *word)
{
    size_t length = strlen(word);
    char *equals = strchr(word, '='), last = word[length - 1];

    if (strcmp(word, "}") == 0) {
        vici_builder_section_end(builder);
    } else if (strcmp(word, "]") == 0) {
        vici_builder_list_end(builder);
    } else if (builder->in_list) {
        vici_builder_item(builder, word, length);
    } else if (equals != NULL) {
        *equals = '\0';
        vici_builder_text(builder, word, equals + 1);
    } else {
        word[length - 1] = '\0';
        if (last == '{')
            vici_builder_section_start(builder, word);
        else
            vici_builder_list_start(builder, word);
    }
}

/* A message from its text; free it. */
static inline struct vici_builder vici_case_build(const char *text)
{
    struct vici_builder builder;
    char *copy = strdup(text), *rest = NULL;

    vici_builder_init(&builder);
    for (char *word = strtok_r(copy, " ", &rest); word != NULL; word = strtok_r(NULL, " ", &rest))
        vici_case_word(&builder, word);
    free(copy);
    if (vici_builder_finish(&builder) != 0)
        fail_msg("not a message: %s", text);
    return builder;
}

static inline struct vici_text vici_case_text(const struct vici_builder *builder)
{
    return (struct vici_text){(const char *)builder->bytes.data, builder->bytes.length};
}

/* Calls see() with each packet of a file of tests/fuzz/corpus/vici, recorded from charon. */
static inline size_t vici_case_replay(const char *name,
                                      void (*see)(const struct vici_packet *packet, void *context),
                                      void *context)
{
    static char bytes[65536];
    char path[512];
    struct vici_packets packets;
    struct vici_packet packet;
    size_t count = 0, length, used;

    snprintf(path, sizeof path, "%s/../fuzz/corpus/vici/%s", MLLPGW_TEST_DATA, name);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    length = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    vici_packets_init(&packets);
    for (size_t at = 0; at < length; at += used) {
        assert_int_equal(vici_packets_feed(&packets, bytes + at, length - at, &used, &packet),
                         VICI_COMPLETE);
        see(&packet, context);
        count++;
    }
    vici_packets_free(&packets);
    return count;
}

#endif
