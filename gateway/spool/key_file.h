/*
 * key_file: the spool's keys.
 *
 *   # spool keys: the first line seals, the others are kept for reading
 *   2026-11 5b0c…64 hexadecimal digits…
 *   2025-02 77aa…
 *
 * One key a line: ID and 64 hexadecimal digits (32 bytes). ID: 1 to 32 of [A-Za-z0-9._-], no two
 * alike. Empty lines and what follows a '#' don't count. Rotation: put the new key on the first
 * line and restart; purge seals anew what hangs on older keys, which may then be removed.
 * The file's mode is checked (config/secret.h). Errors never hold a key.
 */
#ifndef MLLPGW_SPOOL_KEY_FILE_H
#define MLLPGW_SPOOL_KEY_FILE_H

#include <stddef.h>
#include <stdint.h>

#define KEY_FILE_ID_BYTES 32
#define KEY_FILE_KEYS 16

struct key_file_key {
    char id[KEY_FILE_ID_BYTES + 1];
    uint8_t key[32];
};

struct key_file {
    struct key_file_key keys[KEY_FILE_KEYS]; /* the first one is the current one */
    size_t count;
};

/* 0, or a negative errno with one sentence that names the file (and line) in ret_error. */
__attribute__((warn_unused_result)) int key_file_read(const char *path, struct key_file *ret_file,
                                                      char ret_error[512]);
/* The same for text in memory; name is what the error calls it. */
__attribute__((warn_unused_result)) int
key_file_parse(const char *name, const char *text, struct key_file *ret_file, char ret_error[512]);
/* NULL: no such key. */
const struct key_file_key *key_file_find(const struct key_file *file, const char *id);
void key_file_wipe(struct key_file *file);

#endif
