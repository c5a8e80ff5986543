/* Whether the table and the routes that are loaded are those that the configuration wants. */
#include "ctl/guards.h"

#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <string.h>

__attribute__((format(printf, 2, 3))) static enum guards_state
differ(char ret_text[GUARDS_TEXT_BYTES], const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(ret_text, GUARDS_TEXT_BYTES, format, arguments);
    va_end(arguments);
    return GUARDS_DIFFER;
}

static const char *string_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "";
}

/* The n-th object of that kind whose member is `value`; NULL: there are no more. */
static const json_t *nth(const json_t *all, const char *kind, const char *member, const char *value,
                         size_t n)
{
    const json_t *each;
    size_t i;

    json_array_foreach(all, i, each)
    {
        const json_t *object = json_object_get(each, kind);
        if (object != NULL && strcmp(string_of(object, member), value) == 0 && n-- == 0)
            return object;
    }
    return NULL;
}

/* What the rule comes to in the end: its last statement. Statements without arguments are null. */
static bool ends_in(const json_t *rule, const char *verdict)
{
    const json_t *statements = json_object_get(rule, "expr");
    size_t count = json_array_size(statements);
    const json_t *last = count > 0 ? json_array_get(statements, count - 1) : NULL;

    return json_object_get(last, verdict) != NULL;
}

static bool has_statement(const json_t *rule, const char *name)
{
    const json_t *each;
    size_t i;

    json_array_foreach(json_object_get(rule, "expr"), i, each)
    {
        if (json_object_get(each, name) != NULL)
            return true;
    }
    return false;
}

static const char *const verdict_words[] = {
    [GUARDS_ACCEPT] = "accept", [GUARDS_DROP] = "drop",    [GUARDS_REJECT] = "reject",
    [GUARDS_GO_ON] = "goto",    [GUARDS_CLAMP] = "mangle", [GUARDS_RETURN] = "return",
};

/* A rule that matches nothing where it should is one that takes everything. */
static bool is_rule(const json_t *loaded, const struct guards_rule *wanted)
{
    return strcmp(string_of(loaded, "comment"), wanted->comment) == 0 &&
           ends_in(loaded, verdict_words[wanted->verdict]) && has_statement(loaded, "counter") &&
           has_statement(loaded, "match") == (wanted->match[0] != '\0');
}

static bool is_chain(const json_t *loaded, enum guards_chain chain)
{
    const struct guards_hook *hook = &guards_hooks[chain];

    if (loaded == NULL || hook->hook == NULL)
        return loaded != NULL && json_object_get(loaded, "hook") == NULL;
    return strcmp(string_of(loaded, "hook"), hook->hook) == 0 &&
           strcmp(string_of(loaded, "type"), "filter") == 0 &&
           strcmp(string_of(loaded, "policy"), "accept") == 0 &&
           json_integer_value(json_object_get(loaded, "prio")) == hook->priority;
}

static enum guards_state compare_chain(const struct guards *guards, const json_t *all,
                                       enum guards_chain chain, char ret_text[GUARDS_TEXT_BYTES])
{
    const char *name = guards_chain_names[chain];
    size_t n = 0;

    if (!is_chain(nth(all, "chain", "name", name, 0), chain))
        return differ(ret_text, "chain %s is gone, or hangs elsewhere", name);
    for (size_t i = 0; i < guards->rule_count; i++) {
        if (guards->rules[i].chain != chain)
            continue;
        const json_t *loaded = nth(all, "rule", "chain", name, n++);
        if (loaded == NULL || !is_rule(loaded, &guards->rules[i]))
            return differ(ret_text, "the rule \"%s\" of chain %s is gone, or is another one",
                          guards->rules[i].comment, name);
    }
    if (nth(all, "rule", "chain", name, n) != NULL)
        return differ(ret_text, "chain %s has rules that the guards don't have", name);
    return GUARDS_LOADED;
}

static enum guards_state compare_rules(const struct guards *guards, const json_t *all,
                                       char ret_text[GUARDS_TEXT_BYTES])
{
    const json_t *table = nth(all, "table", "name", GUARDS_TABLE, 0);

    /* nft 1.0.6 prints nonsense for a flag's name, but nothing when there is none. */
    if (table == NULL || json_object_get(table, "flags") != NULL)
        return differ(ret_text, "the table is switched off (dormant)");
    for (int chain = 0; chain < GUARDS_CHAINS; chain++) {
        enum guards_state state = compare_chain(guards, all, (enum guards_chain)chain, ret_text);
        if (state != GUARDS_LOADED)
            return state;
    }
    return GUARDS_LOADED;
}

/* ---- routes ---- */

/* "10.10.0.0/24" of "route replace unreachable 10.10.0.0/24 ..." */
static bool leads_to(const char *route, const char *network)
{
    char own[64] = "";
    return sscanf(route, "%*s %*s %*s %63s", own) == 1 && strcmp(own, network) == 0;
}

static bool is_wanted(const struct guards *guards, const char *network)
{
    for (size_t i = 0; i < guards->route_count; i++) {
        if (leads_to(guards->routes[i], network))
            return true;
    }
    return false;
}

static bool is_loaded(const json_t *loaded, const char *route)
{
    const json_t *each;
    size_t i;

    json_array_foreach(loaded, i, each)
    {
        if (leads_to(route, string_of(each, "dst")))
            return true;
    }
    return false;
}

/* Those of one family. */
static enum guards_state compare_family(const struct guards *guards, const json_t *loaded, bool v6,
                                        char ret_text[GUARDS_TEXT_BYTES])
{
    const json_t *each;
    size_t i;

    for (i = 0; i < guards->route_count; i++) {
        const char *route = guards->routes[i];
        if ((strchr(route, ':') != NULL) != v6 || is_loaded(loaded, route))
            continue;
        if (!json_is_array(loaded)) {
            snprintf(ret_text, GUARDS_TEXT_BYTES,
                     "ip could not list the routes (package iproute2)");
            return GUARDS_NOT_VERIFIED;
        }
        char network[64] = "";
        (void)sscanf(route, "%*s %*s %*s %63s", network);
        return differ(ret_text, "the unreachable route to %s is missing", network);
    }
    json_array_foreach(loaded, i, each)
    {
        if (!is_wanted(guards, string_of(each, "dst")))
            return differ(ret_text, "there is an older unreachable route, to %s",
                          string_of(each, "dst"));
    }
    return GUARDS_LOADED;
}

static enum guards_state compare_routes(const struct guards *guards,
                                        const struct guards_listing *listing,
                                        char ret_text[GUARDS_TEXT_BYTES])
{
    enum guards_state state = GUARDS_LOADED;

    for (int v6 = 0; v6 < 2 && state == GUARDS_LOADED; v6++) {
        const struct span *text = &listing->routes[v6];
        json_t *loaded = text->length > 0 ? json_loadb(text->data, text->length, 0, NULL) : NULL;
        state = compare_family(guards, loaded, v6 == 1, ret_text);
        json_decref(loaded);
    }
    return state;
}

/* ---- all of it ---- */

static void say_loaded(const struct guards *guards, char ret_text[GUARDS_TEXT_BYTES])
{
    snprintf(ret_text, GUARDS_TEXT_BYTES, "loaded (%s ESP%s)",
             guards->options.esp == GUARDS_KERNEL ? "kernel" : "userspace",
             guards->options.open_count > 0 ? ", with ports open to clear text" : "");
}

/* What the guards can't do for a tunnel is no less a hole for being loaded. */
static const char *guards_hole(const struct guards *guards)
{
    for (size_t i = 0; i < guards->note_count; i++) {
        if (strstr(guards->notes[i], GUARDS_NOT_GUARDED) != NULL)
            return guards->notes[i];
    }
    return NULL;
}

static enum guards_state compare(const struct config *config, const json_t *all,
                                 const struct guards_listing *listing,
                                 char ret_text[GUARDS_TEXT_BYTES])
{
    const char *loaded = string_of(nth(all, "rule", "chain", GUARDS_VERSION_CHAIN, 0), "comment");
    char wanted[GUARDS_COMMENT_BYTES];
    struct guards_options options;
    struct guards guards = {0};
    enum guards_state state;

    if (!guards_version_read(loaded, &options))
        return differ(ret_text, "the table does not say what it was made from");
    const struct config_listener *opened = guards_opened_listener(config, &options);
    if (opened != NULL)
        return differ(ret_text, "they leave the port of listener %s open to clear text",
                      opened->name);
    if (guards_make(config, &options, &guards) != 0) {
        snprintf(ret_text, GUARDS_TEXT_BYTES, "no memory, or no digests");
        return GUARDS_NOT_VERIFIED;
    }
    guards_version_text(&guards, wanted);
    if (strcmp(loaded, wanted) != 0)
        state = differ(ret_text, "they are older: made from another configuration, or by another "
                                 "version");
    else
        state = compare_rules(&guards, all, ret_text);
    if (state == GUARDS_LOADED)
        state = compare_routes(&guards, listing, ret_text);
    const char *hole = state == GUARDS_LOADED ? guards_hole(&guards) : NULL;
    if (hole != NULL)
        state = differ(ret_text, "they are loaded, but %s", hole);
    else if (state == GUARDS_LOADED)
        say_loaded(&guards, ret_text);
    guards_free(&guards);
    return state;
}

enum guards_state guards_compare(const struct config *config, const struct guards_listing *listing,
                                 char ret_text[GUARDS_TEXT_BYTES])
{
    json_t *root = json_loadb(listing->table.data, listing->table.length, 0, NULL);
    const json_t *all = json_object_get(root, "nftables");
    enum guards_state state = GUARDS_NOT_VERIFIED;

    if (!json_is_array(all))
        snprintf(ret_text, GUARDS_TEXT_BYTES, "nft printed something that is not its JSON");
    else
        state = compare(config, all, listing, ret_text);
    json_decref(root);
    return state;
}
