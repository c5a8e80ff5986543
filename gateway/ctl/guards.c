/* Guards as lists, and how nft reads them. */
#include "ctl/guards.h"

#include "base/digest.h"
#include "config/address.h"

#include <errno.h>
#include <psa/crypto.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define FORMAT_VERSION "1" /* another one where rules mean something else than their words say */
#define MARK "mllpgw-guard"

_Static_assert(GUARDS_VERSION_BYTES <= 2 * DIGEST_BYTES + 1, "a piece of the digest");

const char *const guards_chain_names[GUARDS_CHAINS] = {
    [GUARDS_INPUT] = "input",         [GUARDS_FROM_TUNNEL] = "from_tunnel",
    [GUARDS_FORWARD] = "forward",     [GUARDS_OUTPUT] = "output",
    [GUARDS_MSS_INPUT] = "mss_input", [GUARDS_MSS_OUTPUT] = "mss_output",
};

/* -10: before the tables that others make for filtering (0). -150: where packets are changed. */
const struct guards_hook guards_hooks[GUARDS_CHAINS] = {
    [GUARDS_INPUT] = {"input", -10},        [GUARDS_FORWARD] = {"forward", -10},
    [GUARDS_OUTPUT] = {"output", -10},      [GUARDS_MSS_INPUT] = {"input", -150},
    [GUARDS_MSS_OUTPUT] = {"output", -150},
};

/* ---- the lists ---- */

/* Room for one more; the list itself when there is, NULL when memory is out. */
static void *grown(void *items, size_t count, size_t *capacity, size_t size)
{
    if (count < *capacity)
        return items;
    size_t wanted = *capacity > 0 ? 2 * *capacity : 32;
    void *larger = reallocarray(items, wanted, size);
    if (larger != NULL)
        *capacity = wanted;
    return larger;
}

int guards_add_rule(struct guards *guards, const struct guards_rule *rule)
{
    struct guards_rule *rules =
        grown(guards->rules, guards->rule_count, &guards->rule_capacity, sizeof *rules);
    if (rules == NULL)
        return -ENOMEM;
    guards->rules = rules;
    rules[guards->rule_count] = *rule;
    rules[guards->rule_count].match = strdup(rule->match);
    if (rules[guards->rule_count].match == NULL)
        return -ENOMEM;
    guards->rule_count++;
    return 0;
}

__attribute__((format(printf, 4, 0))) static int
add_text(char ***texts, size_t *count, size_t *capacity, const char *format, va_list arguments)
{
    char **larger = grown(*texts, *count, capacity, sizeof *larger);
    if (larger == NULL)
        return -ENOMEM;
    *texts = larger;
    if (vasprintf(&larger[*count], format, arguments) < 0)
        return -ENOMEM;
    ++*count;
    return 0;
}

int guards_add_route(struct guards *guards, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int error =
        add_text(&guards->routes, &guards->route_count, &guards->route_capacity, format, arguments);
    va_end(arguments);
    return error;
}

int guards_add_note(struct guards *guards, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int error =
        add_text(&guards->notes, &guards->note_count, &guards->note_capacity, format, arguments);
    va_end(arguments);
    return error;
}

void guards_free(struct guards *guards)
{
    for (size_t i = 0; i < guards->rule_count; i++)
        free(guards->rules[i].match);
    for (size_t i = 0; i < guards->route_count; i++)
        free(guards->routes[i]);
    for (size_t i = 0; i < guards->note_count; i++)
        free(guards->notes[i]);
    free(guards->rules);
    free(guards->routes);
    free(guards->notes);
    *guards = (struct guards){0};
}

/* ---- printing ---- */

static void print_rule(const struct guards_rule *rule, FILE *out)
{
    fprintf(out, "        %s%scounter ", rule->match, rule->match[0] != '\0' ? " " : "");
    switch (rule->verdict) {
    case GUARDS_ACCEPT:
        fputs("accept", out);
        break;
    case GUARDS_DROP:
        fputs("drop", out);
        break;
    case GUARDS_REJECT:
        fputs("reject with icmpx type admin-prohibited", out);
        break;
    case GUARDS_GO_ON:
        fprintf(out, "goto %s", guards_chain_names[GUARDS_FROM_TUNNEL]);
        break;
    case GUARDS_CLAMP:
        fprintf(out, "tcp option maxseg size set %d", rule->mss);
        break;
    case GUARDS_RETURN:
        fputs("return", out);
        break;
    }
    fprintf(out, " comment \"%s\"\n", rule->comment);
}

static void print_chain(const struct guards *guards, enum guards_chain chain, FILE *out)
{
    fprintf(out, "    chain %s {\n", guards_chain_names[chain]);
    if (guards_hooks[chain].hook != NULL)
        fprintf(out, "        type filter hook %s priority %d; policy accept;\n",
                guards_hooks[chain].hook, guards_hooks[chain].priority);
    for (size_t i = 0; i < guards->rule_count; i++) {
        if (guards->rules[i].chain == chain)
            print_rule(&guards->rules[i], out);
    }
    fputs("    }\n", out);
}

/* What is jumped to comes first. */
static void print_chains(const struct guards *guards, FILE *out)
{
    print_chain(guards, GUARDS_FROM_TUNNEL, out);
    for (int chain = 0; chain < GUARDS_CHAINS; chain++) {
        if (chain != GUARDS_FROM_TUNNEL)
            print_chain(guards, (enum guards_chain)chain, out);
    }
}

void guards_print(const struct guards *guards, FILE *out)
{
    struct guards_rule version = {.verdict = GUARDS_RETURN, .match = (char[]){""}};

    for (size_t i = 0; i < guards->note_count; i++)
        fprintf(out, "# note: %s\n", guards->notes[i]);
    fputs("# Made first, so that there is always one to delete; all in one transaction.\n"
          "table inet " GUARDS_TABLE "\ndelete table inet " GUARDS_TABLE "\n",
          out);
    if (guards->rule_count == 0)
        return;
    guards_version_text(guards, version.comment);
    fputs("table inet " GUARDS_TABLE " {\n    chain " GUARDS_VERSION_CHAIN " {\n", out);
    print_rule(&version, out);
    fputs("    }\n", out);
    print_chains(guards, out);
    fputs("}\n", out);
    for (size_t i = 0; i < guards->route_count; i++)
        fprintf(out, "# ip %s\n", guards->routes[i]);
}

/* ---- versions ---- */

static const char *esp_word(enum guards_esp esp)
{
    return esp == GUARDS_KERNEL ? "kernel" : "userspace";
}

/* "mllpgw-guard 1 userspace 0123456789abcdef0123456789abcdef open 22,8080" */
void guards_version_text(const struct guards *guards, char ret_text[GUARDS_COMMENT_BYTES])
{
    const struct guards_options *options = &guards->options;
    int length = snprintf(ret_text, GUARDS_COMMENT_BYTES, MARK " " FORMAT_VERSION " %s %s",
                          esp_word(options->esp), guards->version);
    for (size_t i = 0; i < options->open_count && length < GUARDS_COMMENT_BYTES; i++)
        length += snprintf(&ret_text[length], GUARDS_COMMENT_BYTES - (size_t)length, "%s%u",
                           i == 0 ? " open " : ",", options->open[i]);
}

static bool read_open(const char *text, struct guards_options *options)
{
    while (*text != '\0') {
        char *end = NULL;
        unsigned long port = strtoul(text, &end, 10);
        if (end == text || port == 0 || port > UINT16_MAX || (*end != ',' && *end != '\0') ||
            options->open_count == GUARDS_OPEN_PORTS)
            return false;
        options->open[options->open_count++] = (uint16_t)port;
        text = *end == ',' ? end + 1 : end;
    }
    return options->open_count > 0;
}

bool guards_version_read(const char *text, struct guards_options *ret_options)
{
    char mark[16] = "", format[8] = "", esp[16] = "", digest[GUARDS_VERSION_BYTES] = "";
    struct guards_options options = {0};
    int used = 0;

    if (sscanf(text, "%15s %7s %15s %32s%n", mark, format, esp, digest, &used) != 4 ||
        strcmp(mark, MARK) != 0 || (strcmp(esp, "kernel") != 0 && strcmp(esp, "userspace") != 0))
        return false;
    options.esp = strcmp(esp, "kernel") == 0 ? GUARDS_KERNEL : GUARDS_USERSPACE;
    text += used;
    if (*text != '\0' && (strncmp(text, " open ", 6) != 0 || !read_open(text + 6, &options)))
        return false;
    *ret_options = options;
    return true;
}

static int set_version(struct guards *guards)
{
    uint8_t digest[PSA_HASH_LENGTH(PSA_ALG_SHA_256)];
    char hex[2 * sizeof digest + 1], *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);

    if (out == NULL)
        return -ENOMEM;
    print_chains(guards, out);
    if (fclose(out) != 0) {
        free(text);
        return -ENOMEM;
    }
    bool done = psa_crypto_init() == PSA_SUCCESS &&
                psa_hash_compute(PSA_ALG_SHA_256, (const uint8_t *)text, length, digest,
                                 sizeof digest, &length) == PSA_SUCCESS;
    free(text);
    if (!done)
        return -EIO;
    digest_to_hex(digest, sizeof digest, hex);
    memcpy(guards->version, hex, sizeof guards->version - 1);
    guards->version[sizeof guards->version - 1] = '\0';
    return 0;
}

int guards_make(const struct config *config, const struct guards_options *options,
                struct guards *ret_guards)
{
    struct guards guards = {.options = *options};
    int error = config->tunnel_count > 0 ? guards_add_rules(&guards, config) : 0;

    if (error == 0)
        error = set_version(&guards);
    if (error != 0)
        guards_free(&guards);
    else
        *ret_guards = guards;
    return error;
}

/* ---- questions to the configuration ---- */

const struct config_peer *guards_first_peer(const struct config *config)
{
    for (size_t i = 0; i < config->peer_count; i++) {
        if (config->peers[i].tunnel != NULL)
            return &config->peers[i];
    }
    return NULL;
}

static bool is_open(const struct guards_options *options, uint16_t port)
{
    for (size_t i = 0; i < options->open_count; i++) {
        if (options->open[i] == port)
            return true;
    }
    return false;
}

const struct config_listener *guards_opened_listener(const struct config *config,
                                                     const struct guards_options *options)
{
    char error[ADDRESS_ERROR_BYTES];
    struct address_endpoint own;

    for (size_t i = 0; i < config->listener_count; i++) {
        const struct config_listener *listener = &config->listeners[i];
        if (address_parse_endpoint(listener->address, &own, error) != NULL ||
            !is_open(options, own.port))
            continue;
        for (size_t k = 0; k < listener->peers.count; k++) {
            const struct config_peer *peer = config_find_peer(config, listener->peers.items[k]);
            if (peer != NULL && peer->tunnel != NULL)
                return listener;
        }
    }
    return NULL;
}
