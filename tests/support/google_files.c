/* links: http base */
#include "support/google_files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#define KEY_BYTES 4096

static bool make_key(const char *command, char ret_key[KEY_BYTES])
{
    FILE *output = popen(command, "r"); /* NOLINT(cert-env33-c): our own words */
    size_t length;

    if (output == NULL)
        return false;
    length = fread(ret_key, 1, KEY_BYTES - 1, output);
    ret_key[length] = '\0';
    return pclose(output) == 0 && length > 0;
}

const char *google_files_key(const char *algorithm)
{
    static char rsa[KEY_BYTES], ec[KEY_BYTES];
    bool is_rsa = strcmp(algorithm, "RSA") == 0;
    char *key = is_rsa ? rsa : ec;

    if (key[0] == '\0' &&
        !make_key(is_rsa
                      ? "openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 2>/dev/null"
                      : "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 "
                        "2>/dev/null",
                  key))
        return NULL;
    return key;
}

json_t *google_files_new(const char *type, const char *url)
{
    const char *key = google_files_key("RSA");
    json_t *file = NULL;

    assert_non_null(key);
    if (strcmp(type, "service_account") == 0)
        file = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "type", type, "project_id", "clinic",
                         "private_key_id", "0123456789abcdef", "private_key", key, "client_email",
                         GOOGLE_FILES_EMAIL, "token_uri", url);
    else if (strcmp(type, "authorized_user") == 0)
        file = json_pack("{s:s, s:s, s:s, s:s, s:s}", "type", type, "client_id",
                         "client.apps.googleusercontent.com", "client_secret", "canary-client",
                         "refresh_token", "canary-1//refresh", "token_uri", url);
    else
        file = json_pack(
            "{s:s, s:s, s:s, s:s, s:{s:s}}", "type", type, "audience",
            "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/a/providers/b",
            "subject_token_type", "urn:ietf:params:oauth:token-type:jwt", "token_url", url,
            "credential_source", "file", "/nonexistent/subject");
    assert_non_null(file);
    return file;
}

void google_files_set(json_t *file, const char *path, json_t *value)
{
    json_t *object = file;
    char name[64];

    for (const char *dot; (dot = strchr(path, '.')) != NULL; path = dot + 1) {
        snprintf(name, sizeof(name), "%.*s", (int)(dot - path), path);
        if (!json_is_object(json_object_get(object, name)))
            json_object_set_new(object, name, json_object());
        object = json_object_get(object, name);
    }
    if (value == NULL)
        json_object_del(object, path);
    else
        assert_int_equal(json_object_set_new(object, path, value), 0);
}

void google_files_write_text(const char *text, const char *path, unsigned mode)
{
    char other[512];
    FILE *file;

    snprintf(other, sizeof(other), "%s.new", path);
    file = fopen(other, "we");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(other, mode), 0);
    assert_int_equal(rename(other, path), 0);
}

void google_files_write(const json_t *file, const char *path, unsigned mode)
{
    char *text = json_dumps(file, 0);

    assert_non_null(text);
    google_files_write_text(text, path, mode);
    free(text);
}
