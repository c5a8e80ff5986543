/* mllpctl queue: what waits, what is dead, and what an operator does about it. */
#include "ctl/queue.h"

#include "ctl/table.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char queue_help[] =
    "usage: mllpctl queue list     [FILTER] [--after ID] [--limit N]\n"
    "       mllpctl queue show     ID [--body]\n"
    "       mllpctl queue replay   ID | FILTER | --all  [--out-of-order]\n"
    "       mllpctl queue discard  ID | FILTER | --all\n"
    "       mllpctl queue move     FROM TO\n"
    "\n"
    "list     metadata of queued messages and dead letters, oldest first\n"
    "show     one entry; --body also what it holds and the store's last answer\n"
    "replay   dead letters are queued again. One that stopped its lane takes its old place and\n"
    "         the lane goes on; one whose lane went on goes to the lane's end, behind later\n"
    "         messages, and needs --out-of-order\n"
    "discard  removes dead letters, or queued messages that are not being delivered just now\n"
    "move     all of one route's messages to another\n"
    "\n"
    "FILTER: any of\n"
    "  --route NAME, --lane NAME, --peer NAME\n"
    "  --state STATE   queued, kept (delivered, within retain_s) or dead\n"
    "\n"
    "replay, discard, move and --body are for root and members of operator_group, and each is\n"
    "audited with the caller's uid.\n"
    "\n" CLIENT_HELP;

enum {
    QUEUE_ROUTE = 1,
    QUEUE_LANE,
    QUEUE_PEER,
    QUEUE_STATE,
    QUEUE_AFTER,
    QUEUE_LIMIT,
    QUEUE_BODY,
    QUEUE_ALL,
    QUEUE_OUT_OF_ORDER
};

static const struct option queue_long_options[] = {
    {"route", required_argument, NULL, QUEUE_ROUTE},
    {"lane", required_argument, NULL, QUEUE_LANE},
    {"peer", required_argument, NULL, QUEUE_PEER},
    {"state", required_argument, NULL, QUEUE_STATE},
    {"after", required_argument, NULL, QUEUE_AFTER},
    {"limit", required_argument, NULL, QUEUE_LIMIT},
    {"body", no_argument, NULL, QUEUE_BODY},
    {"all", no_argument, NULL, QUEUE_ALL},
    {"out-of-order", no_argument, NULL, QUEUE_OUT_OF_ORDER},
    CLIENT_LONG_OPTIONS,
    {NULL, 0, NULL, 0},
};

/* Which verbs an option belongs to: a --limit that discard took for nothing would discard all. */
static const struct {
    int option;
    const char *verbs;
} queue_belongs[] = {
    {QUEUE_ROUTE, "list replay discard"},
    {QUEUE_LANE, "list replay discard"},
    {QUEUE_PEER, "list replay discard"},
    {QUEUE_STATE, "list discard"},
    {QUEUE_AFTER, "list"},
    {QUEUE_LIMIT, "list"},
    {QUEUE_BODY, "show"},
    {QUEUE_ALL, "replay discard"},
    {QUEUE_OUT_OF_ORDER, "replay"},
};

static int queue_fits(const struct queue_options *options, int option)
{
    for (size_t i = 0; i < sizeof queue_belongs / sizeof *queue_belongs; i++)
        if (queue_belongs[i].option == option &&
            strstr(queue_belongs[i].verbs, options->verb) == NULL)
            return ctl_usage("queue", "%s does not take --%s", options->client.command,
                             queue_long_options[option - 1].name);
    return CTL_OK;
}

static int queue_number(json_t *request, const char *member, const char *text)
{
    int64_t number = 0;

    if (ctl_parse_number(text, 1, INT64_MAX, &number) < 0)
        return ctl_usage("queue", "%s: a number is wanted, as `mllpctl queue list` shows", text);
    json_object_set_new(request, member, json_integer(number));
    return CTL_OK;
}

static int queue_option(struct queue_options *options, int option)
{
    json_t *request = options->request;
    int code = queue_fits(options, option);

    if (code != CTL_OK)
        return code;
    switch (option) {
    case QUEUE_AFTER:
        return queue_number(request, "after", optarg);
    case QUEUE_LIMIT:
        return queue_number(request, "limit", optarg);
    case QUEUE_BODY:
        options->body = true;
        break;
    case QUEUE_ALL:
        json_object_set_new(request, "all", json_true());
        break;
    case QUEUE_OUT_OF_ORDER:
        json_object_set_new(request, "out_of_order", json_true());
        break;
    default:
        if (json_object_set_new(request, queue_long_options[option - 1].name, json_string(optarg)) <
            0)
            return ctl_usage("queue", "that is not UTF-8");
        options->filtered = true;
    }
    if (option == QUEUE_ALL)
        options->filtered = true;
    return CTL_OK;
}

static int queue_parse(struct queue_options *options, int argc, char **argv)
{
    int option, code = CTL_OK;

    optind = 1;
    opterr = 0;
    while (code == CTL_OK && (option = getopt_long(argc, argv, "", queue_long_options, NULL)) != -1)
        if (!client_option(&options->client, option, queue_help, argv, &code))
            code = queue_option(options, option);
    return code;
}

/* ---- list ---- */

static void queue_collect(void *context, json_t *item)
{
    json_array_append(context, item);
}

static void queue_print_list(json_t *rows, const json_t *result)
{
    static const struct table_column columns[] = {
        {"id", "ID"},
        {"state", "STATE"},
        {"lane", "LANE"},
        {"peer", "PEER"},
        {"control_id", "CONTROL ID"},
        {"message_type", "TYPE"},
        {"age_ms", "AGE"},
        {"bytes", "SIZE"},
        {"attempts", "ATTEMPTS"},
        {"last.reason", "LAST"},
    };
    int64_t now_ms = (int64_t)time(NULL) * 1000;
    size_t index;
    json_t *row;

    json_array_foreach(rows, index, row) json_object_set_new(
        row, "age_ms",
        json_integer(now_ms - json_integer_value(json_object_get(row, "received_at_ms"))));
    if (json_array_size(rows) == 0)
        puts("nothing is queued that fits");
    else
        table_print(stdout, rows, columns, sizeof columns / sizeof *columns);
    const json_t *next = json_object_get(result, "next");
    if (next != NULL)
        printf("more: --after %lld\n", (long long)json_integer_value(next));
}

static int queue_list(struct queue_options *options)
{
    json_t *rows = json_array(), *result = NULL;
    int code =
        client_call(&options->client, json_incref(options->request), queue_collect, rows, &result);

    if (code == CTL_OK && options->client.json)
        code = client_print_json(
            json_pack("{s:O s:O*}", "items", rows, "next", json_object_get(result, "next")));
    else if (code == CTL_OK)
        queue_print_list(rows, result);
    json_decref(rows);
    json_decref(result);
    return code;
}

/* ---- replay, discard, move ---- */

static int queue_count(const json_t *result, const char *member)
{
    return (int)json_integer_value(json_object_get(result, member));
}

static int queue_print_done(const struct queue_options *options, json_t *result)
{
    bool replay = strcmp(options->verb, "replay") == 0;
    bool move = strcmp(options->verb, "move") == 0;
    const char *name = replay ? "replayed" : move ? "moved" : "discarded";
    const json_t *id = json_object_get(result, "id");
    int done = queue_count(result, name), failed = queue_count(result, "failed");

    if (options->client.json)
        return client_print_json(json_incref(result)) != CTL_OK || failed > 0 ? CTL_NOT_WELL
                                                                              : CTL_OK;
    printf("%s: %d", name, done);
    if (id != NULL && json_object_get(options->request, "id") != NULL &&
        json_integer_value(id) != json_integer_value(json_object_get(options->request, "id")))
        printf(" (at the end of its lane, as entry %lld)", (long long)json_integer_value(id));
    putchar('\n');
    if (failed > 0) {
        printf("not %s: %d\n", name, failed);
        puts(replay ? "Lanes that went on take a replay only at their end, behind later messages: "
                      "--out-of-order."
                    : "They are being delivered just now: try again.");
    }
    return failed > 0 ? CTL_NOT_WELL : CTL_OK;
}

static int queue_do(struct queue_options *options)
{
    json_t *result = NULL;
    int code = client_call(&options->client, json_incref(options->request), NULL, NULL, &result);

    if (code == CTL_OK)
        code = queue_print_done(options, result);
    else if (code == CTL_REFUSED && strcmp(options->verb, "replay") == 0 &&
             json_object_get(options->request, "out_of_order") == NULL)
        fputs("mllpctl: where the lane went on: `mllpctl queue replay ID --out-of-order` puts the "
              "message at its end\n",
              stderr);
    json_decref(result);
    return code;
}

static int queue_arguments(struct queue_options *options, int count, char **arguments)
{
    bool list = strcmp(options->verb, "list") == 0, move = strcmp(options->verb, "move") == 0;

    if (count > (move ? 2 : list ? 0 : 1))
        return ctl_usage("queue", "%s: what is that for?", arguments[count - 1]);
    if (move) {
        if (count < 2)
            return ctl_usage("queue", "move FROM TO: two routes are wanted");
        json_object_set_new(options->request, "from", json_string(arguments[0]));
        json_object_set_new(options->request, "to", json_string(arguments[1]));
        return CTL_OK;
    }
    if (list || (count == 0 && options->filtered))
        return CTL_OK;
    if (count == 0)
        return ctl_usage("queue", "%s: which entry? An ID%s is wanted", options->verb,
                         strcmp(options->verb, "show") == 0 ? "" : ", a filter or --all");
    if (options->filtered)
        return ctl_usage("queue", "an ID or a filter, not both");
    return queue_number(options->request, "id", arguments[0]);
}

static const struct {
    const char *verb, *words;
    int (*run)(struct queue_options *options);
} queue_verbs[] = {
    {"list", "queue list", queue_list},   {"show", "queue show", ctl_queue_show},
    {"replay", "queue replay", queue_do}, {"discard", "queue discard", queue_do},
    {"move", "queue move", queue_do},
};

static int queue_run(size_t verb, int argc, char **argv)
{
    struct queue_options options = {
        .verb = queue_verbs[verb].verb,
        .client = {.command = "queue"},
    };
    char command[32];

    snprintf(command, sizeof command, "queue.%s", options.verb);
    options.request = json_pack("{s:s}", "command", command);
    int code = queue_parse(&options, argc, argv);
    if (code == CTL_OK)
        code = queue_arguments(&options, argc - optind, argv + optind);
    if (code == CTL_OK)
        code = queue_verbs[verb].run(&options);
    json_decref(options.request);
    return code < 0 ? CTL_OK : code;
}

int ctl_queue(int argc, char **argv)
{
    for (size_t i = 0; argc > 1 && i < sizeof queue_verbs / sizeof *queue_verbs; i++)
        if (strcmp(queue_verbs[i].verb, argv[1]) == 0)
            return queue_run(i, argc - 1, argv + 1);
    if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        fputs(queue_help, stdout);
        return CTL_OK;
    }
    return ctl_usage("queue", "list, show, replay, discard or move is wanted");
}
