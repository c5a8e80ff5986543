/* stores: what belongs to the type, and credentials that don't contradict each other. */
#include "config/internal.h"

#include <string.h>
#include <strings.h>

static void check_type(const struct subject *subject, const struct config_store *store)
{
    unsigned bit = 1u << store->type;
    for (size_t i = 0; i < subject->section->count; i++) {
        const struct setting *row = &subject->section->settings[i];
        bool given = was_given(subject, row->name);
        if (row->only != 0 && (row->only & bit) == 0 && given) {
            complain(subject, PROBLEM_ERROR, row->name, WHOLE,
                     "has no meaning for a store of type \"%s\"",
                     config_store_type_text(store->type));
        }
        if (row->required && (row->only & bit) != 0 && !given) {
            complain(subject, PROBLEM_ERROR, row->name, WHOLE, "is missing: %s", row->help);
        }
    }
}

/* Both or neither. */
static void check_pair(const struct subject *subject, const char *a, const char *b)
{
    bool first = was_given(subject, a), second = was_given(subject, b);
    if (first != second) {
        complain(subject, PROBLEM_ERROR, first ? a : b, WHOLE, "needs %s as well", first ? b : a);
    }
}

bool check_store_url(const struct subject *subject, const char *key, const char *text,
                     bool allow_plain, struct url *ret_url)
{
    char error[SYNTAX_BYTES];
    if (!text) {
        return false;
    }
    if (url_parse(text, ret_url, error)) {
        complain(subject, PROBLEM_ERROR, key, WHOLE, "%s", error);
        return false;
    }
    if (!ret_url->https && !ret_url->loopback && !allow_plain) {
        complain(subject, PROBLEM_ERROR, key, WHOLE,
                 "http: to %s would send messages and passwords in the clear: use https:, or set "
                 "allow_plain = true",
                 ret_url->host);
    }
    return true;
}

static void check_url(const struct subject *subject, const char *key, const char *text,
                      bool allow_plain)
{
    struct url url;
    (void)check_store_url(subject, key, text, allow_plain, &url);
}

static void check_proxy(const struct subject *subject, const struct config_store *store)
{
    char error[SYNTAX_BYTES];
    struct url url;
    check_pair(subject, "proxy_username", "proxy_password_file");
    if (was_given(subject, "proxy_username") && !was_given(subject, "proxy")) {
        complain(subject, PROBLEM_ERROR, "proxy_username", WHOLE, "needs proxy as well");
    }
    if (!store->proxy) {
        return;
    }
    if (url_parse(store->proxy, &url, error)) {
        complain(subject, PROBLEM_ERROR, "proxy", WHOLE, "%s", error);
    } else if (url.path[0] != '\0' && strcmp(url.path, "/") != 0) {
        complain(subject, PROBLEM_ERROR, "proxy", WHOLE, "wants http://host:port without a path");
    }
}

static void check_oauth2(const struct subject *subject, const struct config_store *store)
{
    static const char *const needed[] = {"oauth2_token_url", "oauth2_client_id",
                                         "oauth2_client_secret_file"};
    static const char *const all[] = {"oauth2_token_url", "oauth2_client_id",
                                      "oauth2_client_secret_file", "oauth2_scope",
                                      "oauth2_audience"};
    const char *given = NULL;
    for (size_t i = 0; i < sizeof all / sizeof all[0] && !given; i++) {
        given = was_given(subject, all[i]) ? all[i] : NULL;
    }
    for (size_t i = 0; given && i < sizeof needed / sizeof needed[0]; i++) {
        if (!was_given(subject, needed[i])) {
            complain(subject, PROBLEM_ERROR, given, WHOLE, "needs %s as well", needed[i]);
        }
    }
    check_url(subject, "oauth2_token_url", store->oauth2_token_url, store->allow_plain);
}

/* One Authorization header: one way to fill it. */
static void check_credentials(const struct subject *subject, const struct config_store *store)
{
    static const char *const kinds[] = {"username", "bearer_file", "oauth2_token_url"};
    const char *first = NULL;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (!was_given(subject, kinds[i])) {
            continue;
        }
        if (first) {
            complain(subject, PROBLEM_ERROR, kinds[i], WHOLE,
                     "%s is set, too: a request has one Authorization; keep one of them", first);
        }
        first = kinds[i];
    }
    check_pair(subject, "username", "password_file");
    if (store->username && strchr(store->username, ':')) {
        complain(subject, PROBLEM_ERROR, "username", WHOLE,
                 "has a ':' in it, which Basic authentication cannot carry");
    }
}

static bool sounds_secret(const char *header)
{
    static const char *const signs[] = {"key", "token", "secret", "password"};
    char name[64];
    size_t length = strcspn(header, ":");
    length = length < sizeof name ? length : sizeof name - 1;
    memcpy(name, header, length);
    name[length] = '\0';
    for (size_t i = 0; i < sizeof signs / sizeof signs[0]; i++) {
        if (strcasestr(name, signs[i])) {
            return true;
        }
    }
    return false;
}

static void check_headers(const struct subject *subject, const struct config_store *store)
{
    char error[SYNTAX_BYTES];
    for (size_t i = 0; i < store->headers.count; i++) {
        const char *header = store->headers.items[i];
        if (syntax_header(header, error)) {
            complain(subject, PROBLEM_ERROR, "headers", (int)i, "%s", error);
        } else if (sounds_secret(header)) {
            complain(subject, PROBLEM_WARNING, "headers", (int)i,
                     "%.*s looks like a secret: whoever can read this file has it; keep the file "
                     "from others, or use %s",
                     (int)strcspn(header, ":"), header,
                     store->type == CONFIG_STORE_GOOGLE ? "credentials"
                                                        : "bearer_file or password_file");
        }
    }
}

static void check_verdicts(const struct subject *subject, const struct config_store *store)
{
    for (size_t i = 1; i < store->verdict_count; i++) {
        for (size_t j = 0; j < i; j++) {
            int status = store->verdicts[i].status;
            if (status != 0 && status == store->verdicts[j].status) {
                complain(subject, PROBLEM_ERROR, "verdicts", (int)i,
                         "status %d has a verdict already", status);
                break;
            }
        }
    }
}

/* What every store behind HTTPS has. */
static void check_https(const struct subject *subject, const struct config_store *store)
{
    char error[SYNTAX_BYTES];
    check_proxy(subject, store);
    check_pair(subject, "certificate", "key");
    check_headers(subject, store);
    if (store->pin && syntax_pin(store->pin, error)) {
        complain(subject, PROBLEM_ERROR, "pin", WHOLE, "%s", error);
    }
    check_verdicts(subject, store);
}

static void check_http(const struct subject *subject, const struct config_store *store)
{
    check_url(subject, "url", store->url, store->allow_plain);
    check_oauth2(subject, store);
    check_credentials(subject, store);
    if (store->content_type && !strchr(store->content_type, '/')) {
        complain(subject, PROBLEM_ERROR, "content_type", WHOLE, "wants type/subtype");
    }
    check_https(subject, store);
}

static bool used(const struct config *config, const struct config_store *store)
{
    for (size_t i = 0; i < config->route_count; i++) {
        const char *to = config->routes[i].to;
        if (to && store->name && strcmp(to, store->name) == 0) {
            return true;
        }
    }
    return false;
}

static void check_one(const struct subject *subject, const struct config_store *store)
{
    check_type(subject, store);
    switch (store->type) {
    case CONFIG_STORE_DIRECTORY:
        break;
    case CONFIG_STORE_HTTP:
        check_http(subject, store);
        break;
    case CONFIG_STORE_GOOGLE:
        check_google(subject, store);
        check_https(subject, store);
        break;
    }
    if (!used(subject->config, store)) {
        complain(subject, PROBLEM_WARNING, NULL, WHOLE, "no route leads to it");
    }
}

/* Two stores in one directory would list and overwrite each other's files. */
static void check_directories(const struct subject *subject, const struct config_store *store)
{
    for (const struct config_store *s = subject->config->stores; s < store; s++) {
        if (store->path && s->path && strcmp(store->path, s->path) == 0) {
            complain(subject, PROBLEM_ERROR, "path", WHOLE, "store %s writes there already",
                     s->name ? s->name : "?");
        }
    }
}

void check_stores(const struct config *config, struct problems *problems)
{
    for (size_t i = 0; i < config->store_count; i++) {
        const struct config_store *store = &config->stores[i];
        struct subject subject = {config, problems, config_section("stores"), store};
        /* Without a type (reported already) nothing can be said of the other settings. */
        if ((int)store->type >= 0) {
            check_one(&subject, store);
        }
        check_directories(&subject, store);
    }
}
