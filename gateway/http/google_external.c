/* External accounts: workload identity federation. */
#include "http/google_private.h"
#include "http/grant.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SOURCE "credential_source."
#define LIFETIME_MINIMUM_S 600
#define LIFETIME_MAXIMUM_S 43200
#define LIFETIME_USUAL_S 3600

/* ---- the file ---- */

static int external_take_format(const struct google_reader *reader, const json_t *source,
                                struct google_source *ret_source)
{
    const json_t *format = json_object_get(source, "format");
    char *type = NULL;
    int result;

    if (format == NULL || json_is_null(format))
        return 0;
    if (!json_is_object(format))
        return google_complain(reader, SOURCE "format is not an object");
    result = google_take_text(reader, format, SOURCE "format.", "type", false, &type);
    if (result != 0 || type == NULL || strcmp(type, "text") == 0)
        goto out;
    if (strcmp(type, "json") == 0)
        result = google_take_text(reader, format, SOURCE "format.", "subject_token_field_name",
                                  true, &ret_source->json_field);
    else
        result = google_complain(reader, SOURCE "format.type is neither \"text\" nor \"json\"");
out:
    free(type);
    return result;
}

static bool external_is_header_name(const char *name)
{
    size_t length = strlen(name);

    return length > 0 && strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                      "0123456789!#$%&'*+-.^_`|~") == length;
}

static int external_take_header(const struct google_reader *reader, const json_t *headers,
                                const char *name, char **ret_header)
{
    char *value = NULL;
    int result;

    if (!external_is_header_name(name))
        return google_complain(reader, SOURCE "headers has a name that no header can have");
    result = google_take_text(reader, headers, SOURCE "headers.", name, true, &value);
    if (result == 0 && asprintf(ret_header, "%s: %s", name, value) < 0) {
        *ret_header = NULL;
        (void)google_complain(reader, "memory is out");
        result = -ENOMEM;
    }
    grant_forget(&value);
    return result;
}

static int external_take_headers(const struct google_reader *reader, const json_t *source,
                                 struct google_source *ret_source)
{
    json_t *headers = json_object_get(source, "headers"), *value;
    const char *name;
    size_t count = 0;
    int result = 0;

    if (headers == NULL || json_is_null(headers))
        return 0;
    if (!json_is_object(headers))
        return google_complain(reader, SOURCE "headers is not an object");
    ret_source->headers = calloc(json_object_size(headers) + 1, sizeof(*ret_source->headers));
    if (ret_source->headers == NULL) {
        (void)google_complain(reader, "memory is out");
        return -ENOMEM;
    }
    json_object_foreach(headers, name, value)
    {
        if (result == 0)
            result = external_take_header(reader, headers, name, &ret_source->headers[count++]);
    }
    return result;
}

static int external_check_source(const struct google_reader *reader, const json_t *source)
{
    if (source == NULL || json_is_null(source))
        return google_complain(reader, "no credential_source");
    if (!json_is_object(source))
        return google_complain(reader, "credential_source is not an object");
    if (json_object_get(source, "executable") != NULL)
        return google_complain(reader, SOURCE "executable is not supported: no program is run for "
                                              "a token; let it write a file");
    if (json_object_get(source, "environment_id") != NULL)
        return google_complain(reader, SOURCE "environment_id (AWS) is not supported: use a file "
                                              "or a url with an OpenID Connect token");
    if (json_object_get(source, "certificate") != NULL)
        return google_complain(reader, SOURCE "certificate (X.509) is not supported: use a file or "
                                              "a url");
    if ((json_object_get(source, "file") == NULL) == (json_object_get(source, "url") == NULL))
        return google_complain(reader, "credential_source has %s of file and url",
                               json_object_get(source, "file") == NULL ? "neither" : "both");
    return 0;
}

static int external_take_source(const struct google_reader *reader, const json_t *file,
                                struct google_source *ret_source)
{
    const json_t *source = json_object_get(file, "credential_source");
    int result = external_check_source(reader, source);
    bool is_file = json_object_get(source, "file") != NULL;

    if (result != 0)
        return result;
    if (is_file)
        result = google_take_text(reader, source, SOURCE, "file", true, &ret_source->file);
    else
        result = google_take_url(reader, source, SOURCE, "url", true, &ret_source->url);
    /* A daemon's working directory is nobody's to know. */
    if (result == 0 && is_file && ret_source->file[0] != '/')
        result = google_complain(reader, SOURCE "file is not an absolute path");
    if (result == 0 && !is_file)
        result = external_take_headers(reader, source, ret_source);
    if (result == 0)
        result = external_take_format(reader, source, ret_source);
    return result;
}

static int external_take_impersonation(const struct google_reader *reader, const json_t *file,
                                       struct google_facts *facts)
{
    const json_t *more = json_object_get(file, "service_account_impersonation");
    const json_t *lifetime = json_object_get(more, "token_lifetime_seconds");
    json_int_t seconds = json_integer_value(lifetime);
    int result = google_take_url(reader, file, "", "service_account_impersonation_url", false,
                                 &facts->impersonation_url);

    facts->lifetime_s = LIFETIME_USUAL_S;
    if (result != 0 || lifetime == NULL || json_is_null(lifetime))
        return result;
    if (!json_is_integer(lifetime) || seconds < LIFETIME_MINIMUM_S || seconds > LIFETIME_MAXIMUM_S)
        return google_complain(reader,
                               "service_account_impersonation.token_lifetime_seconds is not a "
                               "number from %d to %d",
                               LIFETIME_MINIMUM_S, LIFETIME_MAXIMUM_S);
    facts->lifetime_s = (int)seconds;
    return 0;
}

int google_parse_external(const struct google_reader *reader, const json_t *file,
                          struct google_facts *facts)
{
    const struct {
        const char *field;
        bool required;
        char **to;
    } texts[] = {{"audience", true, &facts->audience},
                 {"subject_token_type", true, &facts->subject_token_type},
                 {"client_id", false, &facts->client_id},
                 {"client_secret", false, &facts->client_secret},
                 {"workforce_pool_user_project", false, &facts->user_project}};
    int result = 0;

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]) && result == 0; i++)
        result = google_take_text(reader, file, "", texts[i].field, texts[i].required, texts[i].to);
    if (result == 0)
        result = google_take_url(reader, file, "", "token_url", true, &facts->token_url);
    if (result == 0)
        result = external_take_impersonation(reader, file, facts);
    if (result == 0)
        result = external_take_source(reader, file, &facts->source);
    return result;
}

/* ---- the subject token ---- */

static bool external_is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static struct span external_trim(struct span text)
{
    while (text.length > 0 && external_is_blank(text.data[text.length - 1]))
        text.length--;
    while (text.length > 0 && external_is_blank(text.data[0]))
        text = span_of(text.data + 1, text.length - 1);
    return text;
}

/* A NUL in it makes it none. */
static int external_take_token(struct span text, char **ret_token)
{
    char *copy = calloc(1, text.length + 1);

    if (copy == NULL)
        return -ENOMEM;
    if (text.length > 0)
        memcpy(copy, text.data, text.length);
    if (strlen(copy) == text.length && grant_is_sendable(copy)) {
        *ret_token = copy;
        return 0;
    }
    explicit_bzero(copy, text.length);
    free(copy);
    return -EINVAL;
}

static const char *external_json_token(const struct google_source *source, const json_t *file,
                                       const char **ret_words)
{
    const char *token = json_string_value(json_object_get(file, source->json_field));

    if (file == NULL)
        *ret_words = "is not JSON, which credential_source.format says";
    else if (token == NULL)
        *ret_words = "has no text in the field that subject_token_field_name says";
    return token;
}

int google_read_subject(const struct google_source *source, struct span text, char **ret_token,
                        const char **ret_words)
{
    const char *token;
    json_t *file;
    int result;

    *ret_words = "holds no token";
    if (source->json_field == NULL)
        return external_take_token(external_trim(text), ret_token);
    file = json_loadb(text.length > 0 ? text.data : "", text.length, JSON_REJECT_DUPLICATES, NULL);
    token = external_json_token(source, file, ret_words);
    result =
        token == NULL ? -EINVAL : external_take_token(span_of(token, strlen(token)), ret_token);
    json_decref(file);
    return result;
}
