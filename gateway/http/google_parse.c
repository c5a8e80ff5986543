/* Files of credentials: which kind, and that nothing is missing or broken. */
#include "http/client.h"
#include "http/google_private.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GOOGLE_TOKEN_URL "https://oauth2.googleapis.com/token"

int google_complain(const struct google_reader *reader, const char *format, ...)
{
    int length = snprintf(reader->error, GOOGLE_ERROR_BYTES, "%.200s: ", reader->name);
    va_list arguments;

    va_start(arguments, format);
    if (length > 0)
        (void)vsnprintf(reader->error + length, GOOGLE_ERROR_BYTES - (size_t)length, format,
                        arguments);
    va_end(arguments);
    return -EINVAL;
}

/* All of them end up in headers, forms or on an operator's screen. */
static bool google_is_plain(const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text < ' ' || *text > '~')
            return false;
    }
    return true;
}

static int google_copy(const struct google_reader *reader, const char *text, char **ret_copy)
{
    *ret_copy = strdup(text);
    if (*ret_copy != NULL)
        return 0;
    (void)google_complain(reader, "memory is out");
    return -ENOMEM;
}

int google_take_text(const struct google_reader *reader, const json_t *object, const char *path,
                     const char *field, bool required, char **ret_text)
{
    const json_t *value = json_object_get(object, field);
    const char *text = json_string_value(value);

    if (value == NULL || json_is_null(value))
        return required ? google_complain(reader, "no %s%s", path, field) : 0;
    if (text == NULL)
        return google_complain(reader, "%s%s is not a text", path, field);
    if (*text == '\0')
        return required ? google_complain(reader, "%s%s is empty", path, field) : 0;
    if (!google_is_plain(text))
        return google_complain(reader, "%s%s has characters in it that do not belong there", path,
                               field);
    return google_copy(reader, text, ret_text);
}

static int google_check_url(const struct google_reader *reader, const char *path, const char *field,
                            const char *url)
{
    /* A subject token's source may be another cloud's metadata server. */
    bool link_local_allowed = *path != '\0';
    int result = http_check_secret_url(url, link_local_allowed);

    if (result == -EPERM)
        return google_complain(reader, "%s%s is plain http to another machine: only https is safe",
                               path, field);
    if (result == -ENOMEM)
        (void)google_complain(reader, "memory is out");
    else if (result != 0)
        return google_complain(reader, "%s%s is not an https URL with a host", path, field);
    return result;
}

int google_take_url(const struct google_reader *reader, const json_t *object, const char *path,
                    const char *field, bool required, char **ret_url)
{
    int result = google_take_text(reader, object, path, field, required, ret_url);

    if (result != 0 || *ret_url == NULL)
        return result;
    return google_check_url(reader, path, field, *ret_url);
}

/* Of files from before universe domains, and of users' files, which have none. */
static int google_take_token_url(const struct google_reader *reader, const json_t *file,
                                 struct google_facts *facts)
{
    int result = google_take_url(reader, file, "", "token_uri", false, &facts->token_url);

    if (result != 0 || facts->token_url != NULL)
        return result;
    return google_copy(reader, GOOGLE_TOKEN_URL, &facts->token_url);
}

static int google_take_key(const struct google_reader *reader, const json_t *file,
                           psa_key_id_t *ret_key)
{
    const json_t *value = json_object_get(file, "private_key");
    char words[128] = "";
    int result;

    if (value == NULL || json_is_null(value))
        return google_complain(reader, "no private_key");
    if (!json_is_string(value))
        return google_complain(reader, "private_key is not a text");
    result = google_key_parse(json_string_value(value), ret_key, words);
    if (result != 0)
        (void)google_complain(reader, "private_key %s", words);
    return result;
}

static int google_parse_service_account(const struct google_reader *reader, const json_t *file,
                                        struct google_facts *facts)
{
    int result = google_take_text(reader, file, "", "client_email", true, &facts->client_email);

    if (result == 0)
        result = google_take_text(reader, file, "", "private_key_id", false, &facts->key_id);
    if (result == 0)
        result = google_take_token_url(reader, file, facts);
    if (result == 0)
        result = google_take_key(reader, file, &facts->key);
    return result;
}

static int google_parse_user(const struct google_reader *reader, const json_t *file,
                             struct google_facts *facts)
{
    int result = google_take_text(reader, file, "", "client_id", true, &facts->client_id);

    if (result == 0)
        result = google_take_text(reader, file, "", "client_secret", true, &facts->client_secret);
    if (result == 0)
        result = google_take_text(reader, file, "", "refresh_token", true, &facts->refresh_token);
    if (result == 0)
        result = google_take_token_url(reader, file, facts);
    return result;
}

/* Other files that are easily taken for these. */
static int google_complain_type(const struct google_reader *reader, const json_t *file,
                                const char *type)
{
    static const char *const others[] = {"external_account_authorized_user", "gdch_service_account",
                                         "impersonated_service_account"};

    for (size_t i = 0; type != NULL && i < sizeof(others) / sizeof(others[0]); i++) {
        if (strcmp(type, others[i]) == 0)
            return google_complain(reader,
                                   "type \"%s\" is not supported: use service_account, "
                                   "authorized_user or external_account",
                                   others[i]);
    }
    if (type == NULL &&
        (json_object_get(file, "installed") != NULL || json_object_get(file, "web") != NULL))
        return google_complain(
            reader, "is an OAuth client's file, not credentials: make those with `gcloud "
                    "auth application-default login`, or take a service account's key");
    return google_complain(reader, "%s: it is service_account, authorized_user or external_account",
                           type == NULL ? "no type" : "type is unknown");
}

static int google_parse_kind(const struct google_reader *reader, const json_t *file,
                             struct google_facts *facts)
{
    const char *type = json_string_value(json_object_get(file, "type"));

    if (type != NULL && strcmp(type, "service_account") == 0) {
        facts->kind = GOOGLE_SERVICE_ACCOUNT;
        return google_parse_service_account(reader, file, facts);
    }
    if (type != NULL && strcmp(type, "authorized_user") == 0) {
        facts->kind = GOOGLE_AUTHORIZED_USER;
        return google_parse_user(reader, file, facts);
    }
    if (type != NULL && strcmp(type, "external_account") == 0) {
        facts->kind = GOOGLE_EXTERNAL_ACCOUNT;
        return google_parse_external(reader, file, facts);
    }
    return google_complain_type(reader, file, type);
}

/* jansson's own text quotes what stands near. */
static int google_complain_json(const struct google_reader *reader, const json_error_t *error)
{
    if (json_error_code(error) == json_error_out_of_memory || error->line < 0) {
        (void)google_complain(reader, "memory is out");
        return -ENOMEM;
    }
    if (json_error_code(error) == json_error_duplicate_key)
        return google_complain(reader, "a field stands in it twice (line %d)", error->line);
    return google_complain(reader, "is not JSON (line %d, column %d)", error->line, error->column);
}

int google_parse(const char *name, struct span text, struct google_facts *ret_facts,
                 char ret_error[GOOGLE_ERROR_BYTES])
{
    const struct google_reader reader = {.name = name, .error = ret_error};
    struct google_facts facts = {0};
    json_error_t json_error;
    json_t *file = json_loadb(text.data == NULL ? "" : text.data, text.length,
                              JSON_REJECT_DUPLICATES, &json_error);
    int result;

    if (file == NULL)
        return google_complain_json(&reader, &json_error);
    if (!json_is_object(file))
        result = google_complain(&reader, "is not a JSON object");
    else
        result = google_parse_kind(&reader, file, &facts);
    if (result == 0)
        result =
            google_take_text(&reader, file, "", "quota_project_id", false, &facts.quota_project);
    json_decref(file);
    if (result == 0)
        *ret_facts = facts;
    else
        google_facts_free(&facts);
    return result;
}
