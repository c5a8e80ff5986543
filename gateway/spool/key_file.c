#include "spool/key_file.h"

#include "config/secret.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define KEY_FILE_BYTES 65536

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

static int id_is_good(const char *text, size_t length)
{
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";

    return length >= 1 && length <= KEY_FILE_ID_BYTES && strspn(text, allowed) >= length;
}

/* NULL, or what is wrong. The line has no comment and no white space around it. */
static const char *parse_line(const char *line, size_t length, struct key_file_key *ret_key)
{
    size_t id = strcspn(line, " \t");

    if (id >= length)
        return "a key's name and its 64 hexadecimal digits belong on one line";
    if (!id_is_good(line, id))
        return "a key's name is 1 to 32 of letters, digits, '.', '_' and '-'";
    size_t hex = id + strspn(line + id, " \t");
    if (length - hex != 64)
        return "a key is 64 hexadecimal digits (32 bytes)";
    for (size_t i = 0; i < 32; i++) {
        int high = hex_digit(line[hex + 2 * i]), low = hex_digit(line[hex + 2 * i + 1]);
        if (high < 0 || low < 0)
            return "a key is 64 hexadecimal digits (32 bytes)";
        ret_key->key[i] = (uint8_t)(high << 4 | low);
    }
    memcpy(ret_key->id, line, id);
    ret_key->id[id] = '\0';
    return NULL;
}

static size_t trimmed_length(const char *line, size_t length)
{
    const char *comment = memchr(line, '#', length);

    if (comment != NULL)
        length = (size_t)(comment - line);
    while (length > 0 && strchr(" \t\r", line[length - 1]) != NULL)
        length--;
    return length;
}

static const char *add_line(struct key_file *file, const char *line, size_t length)
{
    struct key_file_key key;
    const char *problem = NULL;

    if (file->count == KEY_FILE_KEYS)
        return "there are more keys than a spool can have";
    problem = parse_line(line, length, &key);
    if (problem == NULL && key_file_find(file, key.id) != NULL)
        problem = "two keys have the same name";
    if (problem == NULL)
        file->keys[file->count++] = key;
    explicit_bzero(&key, sizeof key);
    return problem;
}

int key_file_parse(const char *name, const char *text, struct key_file *ret_file,
                   char ret_error[512])
{
    struct key_file file = {.count = 0};
    const char *problem = NULL;
    unsigned number = 0;

    while (*text != '\0' && problem == NULL) {
        size_t line = strcspn(text, "\n");
        size_t indent = strspn(text, " \t");
        number++;
        if (indent < line) {
            size_t length = trimmed_length(text + indent, line - indent);
            if (length > 0)
                problem = add_line(&file, text + indent, length);
        }
        text += line + (text[line] == '\n');
    }
    if (problem != NULL)
        snprintf(ret_error, 512, "%s:%u: %s", name, number, problem);
    else if (file.count == 0)
        snprintf(ret_error, 512,
                 "%s: there is no key in it; a line such as \"2026-11 HEX\" with 64 hexadecimal "
                 "digits, e.g. of `openssl rand -hex 32`, is one",
                 name);
    int result = problem != NULL || file.count == 0 ? -EINVAL : 0;
    if (result == 0)
        *ret_file = file;
    key_file_wipe(&file);
    return result;
}

int key_file_read(const char *path, struct key_file *ret_file, char ret_error[512])
{
    char *text = NULL;
    size_t length = 0;

    int result = secret_read(path, KEY_FILE_BYTES, &text, &length, ret_error);
    if (result < 0)
        return result;
    if (memchr(text, '\0', length) != NULL) {
        snprintf(ret_error, 512, "%s: is not a text file", path);
        result = -EINVAL;
    } else {
        result = key_file_parse(path, text, ret_file, ret_error);
    }
    secret_free(&text, length);
    return result;
}

const struct key_file_key *key_file_find(const struct key_file *file, const char *id)
{
    for (size_t i = 0; i < file->count; i++)
        if (strcmp(file->keys[i].id, id) == 0)
            return &file->keys[i];
    return NULL;
}

void key_file_wipe(struct key_file *file)
{
    explicit_bzero(file, sizeof *file);
}
