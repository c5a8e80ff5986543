/* links: http base config */
/* wrap: malloc calloc realloc strdup */
/* Every allocation of ours and of mbedTLS's fails once while a file of credentials is read,
 * replaced or signed with: no crash, no leak, an error; what was there before is still whole. (jansson's own
 * are not wrapped: its lexer does not look whether a text could grow.) */
#include "http/google_private.h"
#include "support/google_files.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define URL "https://oauth2.googleapis.com/token"

static long countdown = -1; /* -1: all succeed */

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__real_realloc(void *old, size_t bytes);
char *__real_strdup(const char *text);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_realloc(void *old, size_t bytes);
char *__wrap_strdup(const char *text);

static bool fails(void)
{
    return countdown >= 0 && countdown-- == 0;
}

void *__wrap_malloc(size_t bytes)
{
    return fails() ? NULL : __real_malloc(bytes);
}

void *__wrap_calloc(size_t count, size_t bytes)
{
    return fails() ? NULL : __real_calloc(count, bytes);
}

void *__wrap_realloc(void *old, size_t bytes)
{
    return fails() ? NULL : __real_realloc(old, bytes);
}

char *__wrap_strdup(const char *text)
{
    return fails() ? NULL : __real_strdup(text);
}

static char *text_of(const char *type, const char *path, json_t *value)
{
    json_t *file = google_files_new(type, URL);
    char *text;

    if (path != NULL)
        google_files_set(file, path, value);
    text = json_dumps(file, 0);
    json_decref(file);
    assert_non_null(text);
    return text;
}

/* True while the nth allocation is one that happens. */
static bool parse_with(long nth, const char *text)
{
    struct google_credentials *credentials = NULL;
    char error[GOOGLE_ERROR_BYTES] = "";
    int result;
    bool reached;

    countdown = nth;
    result = google_credentials_parse("key.json", span_of(text, strlen(text)), &credentials, error);
    reached = countdown == -1;
    countdown = -1;
    assert_true((result == 0) == (credentials != NULL));
    assert_false(result == 0 && reached);
    assert_true(result == 0 || error[0] != '\0');
    google_credentials_free(&credentials);
    return reached;
}

static void run_out(char *text, long least)
{
    long nth = 0;

    while (parse_with(nth, text))
        nth++;
    assert_true(nth > least);
    fprintf(stderr, "%ld allocations\n", nth);
    free(text);
}

static void service_accounts(void **state)
{
    (void)state;
    run_out(text_of("service_account", "quota_project_id", json_string("q")), 40);
}

static void users(void **state)
{
    (void)state;
    run_out(text_of("authorized_user", NULL, NULL), 4);
}

static void external_accounts(void **state)
{
    (void)state;
    run_out(text_of("external_account", "credential_source",
                    json_pack("{s:s, s:{s:s, s:s}, s:{s:s, s:s}}", "url", "https://a.example/",
                              "headers", "A", "b", "C", "d", "format", "type", "json",
                              "subject_token_field_name", "token")),
            8);
}

static void subject_tokens(void **state)
{
    static char field[] = "token";
    static const char text[] = "{\"token\":\"abc\"}";
    const struct google_source source = {.json_field = field};
    long nth = 0;

    (void)state;
    for (bool reached = true; reached; nth++) {
        const char *words = NULL;
        char *token = NULL;
        int result;

        countdown = nth;
        result = google_read_subject(&source, span_of(text, strlen(text)), &token, &words);
        reached = countdown == -1;
        countdown = -1;
        assert_true((result == 0) == !reached);
        free(token);
    }
    assert_true(nth > 1);
}

static void assertions(void **state)
{
    struct google_credentials *credentials = NULL;
    char *text = text_of("service_account", NULL, NULL), error[GOOGLE_ERROR_BYTES];
    long nth = 0;

    (void)state;
    assert_int_equal(
        google_credentials_parse("key.json", span_of(text, strlen(text)), &credentials, error), 0);
    for (bool reached = true; reached; nth++) {
        struct buffer jwt;
        int result;

        buffer_init(&jwt, 65536);
        countdown = nth;
        result = google_jwt_append(google_credentials_facts(credentials), "scope", 1, &jwt);
        reached = countdown == -1;
        countdown = -1;
        assert_true((result == 0) == !reached);
        buffer_free(&jwt);
    }
    assert_true(nth > 4);
    google_credentials_free(&credentials);
    free(text);
}

/* What could not be read for want of memory is read at the next look. */
static void replaced_files(void **state)
{
    char path[] = "/tmp/mllpgw-test-XXXXXX", error[GOOGLE_ERROR_BYTES];
    char *first = text_of("authorized_user", "client_id", json_string("first"));
    char *second = text_of("service_account", NULL, NULL);
    int fd = mkstemp(path);
    bool reached = true;

    (void)state;
    assert_true(fd >= 0);
    for (long nth = 0; reached; nth++) {
        struct google_credentials *credentials = NULL;
        bool changed;

        google_files_write_text(first, path, 0600);
        assert_int_equal(google_credentials_find(path, &credentials, error), 0);
        google_files_write_text(second, path, 0600);
        countdown = nth;
        changed = google_credentials_refresh(credentials, 1000, error);
        reached = countdown == -1;
        countdown = -1;
        assert_true(changed == !reached);
        if (reached) {
            assert_string_equal(error, "");
            assert_string_equal(google_credentials_facts(credentials)->client_id, "first");
            assert_true(google_credentials_refresh(credentials, 2000, error));
        }
        assert_int_equal(google_credentials_kind(credentials), GOOGLE_SERVICE_ACCOUNT);
        google_credentials_free(&credentials);
    }
    close(fd);
    unlink(path);
    free(first);
    free(second);
}

static int start(void **state)
{
    (void)state;
    return psa_crypto_init() == PSA_SUCCESS && google_files_key("RSA") != NULL ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(service_accounts),  cmocka_unit_test(users),
        cmocka_unit_test(external_accounts), cmocka_unit_test(subject_tokens),
        cmocka_unit_test(assertions),        cmocka_unit_test(replaced_files),
    };

    return cmocka_run_group_tests(tests, start, NULL);
}
